/** Why a transaction is cancelled: one reason for each action, in the order of the request. */
import {
  type CancellationReason,
  ConditionalCheckFailedError,
  EmptyKeyError,
  TableError,
  ThrottledError,
} from '../errors.ts';

const noReason: CancellationReason = { Code: 'None' };

/** Runs one step of an action; what it refuses becomes its reason. */
export function reasonFor(step: () => void): CancellationReason {
  try {
    step();
    return noReason;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedError) {
      const reason = { Code: 'ConditionalCheckFailed', Message: error.message } as const;
      return error.Item === undefined ? reason : { ...reason, Item: error.Item };
    }
    if (error instanceof ThrottledError) return { Code: 'ProvisionedThroughputExceeded', Message: error.message };
    if (error instanceof EmptyKeyError) throw error; // refuses the request as a whole
    if (error instanceof TableError) return { Code: 'ValidationError', Message: error.message };
    throw error; // the store failed, or we are wrong: nobody's transaction is at fault
  }
}

/** Binds every action to its table. With a reason for any, none may run. */
export function bindAll<Action, Plan>(
  actions: readonly Action[],
  bind: (action: Action, at: number) => Plan,
): { plans: readonly Plan[]; reasons: readonly CancellationReason[] | undefined } {
  const plans: Plan[] = [];
  const reasons = actions.map((action, at) => reasonFor(() => plans.push(bind(action, at))));
  return { plans, reasons: plans.length === actions.length ? undefined : reasons };
}
