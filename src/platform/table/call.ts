/** The one way into the engine: every call is checked as DynamoDB checks it, then carried out. Both doors use it. */
import { operations as adminOperations } from './admin/index.ts';
import type { Door, Engine } from './engine.ts';
import { notSupported, rewordedRefusal, TableError } from './errors.ts';
import { operations } from './operations/index.ts';
import { checkRequest, isOperation, type OperationName, wordingOf } from './requests/index.ts';
import type { LegacyCheck, Request } from './requests/shapes.ts';
import { operations as streamOperations } from './streams/index.ts';

type Operation = (engine: Engine, input: never, door: Door) => Promise<unknown>;

/** What the engine can do, by API name. */
const registry: Partial<Record<OperationName, Operation>> = { ...operations, ...adminOperations, ...streamOperations };

export const operationNames: readonly OperationName[] = Object.keys(registry).filter(isOperation);

/** Parameters the engine does not know, turned into those it does; the endpoint has them from before expressions. */
export interface CallOptions {
  readonly checkLegacy?: LegacyCheck;
  readonly translate?: (name: OperationName, request: Request) => Request;
  /** Says in the words of the request what was said of its translation. */
  readonly reword?: (request: Request, error: TableError) => TableError;
}

/** Throws what `checkRequest` throws, then what the operation throws. */
export async function callOperation(
  engine: Engine,
  name: OperationName,
  input: unknown,
  door: Door,
  { checkLegacy, translate, reword }: CallOptions = {},
): Promise<unknown> {
  const checked = checkRequest(name, input, door, checkLegacy);
  const request = translate === undefined ? checked : translate(name, checked);
  const operation = registry[name];
  if (operation === undefined) throw notSupported(name);
  try {
    return await operation(engine, request as never, door); // a cast: the checks made it what the operation takes
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    const refusal = enveloped(name, error);
    throw request !== checked && reword !== undefined ? reword(checked, refusal) : refusal;
  }
}

const saysExpression =
  /^(Invalid (Update|Condition)Expression: |Value provided in ExpressionAttribute(Names|Values) unused)/;

/** Expressions are read by operations, yet DynamoDB reads them with the request, and words a refusal like one of it. */
function enveloped(name: OperationName, error: TableError): TableError {
  if (wordingOf(name) !== 'enveloped' || !saysExpression.test(error.message)) return error;
  return rewordedRefusal(error, `1 validation error detected: ${error.message}`);
}
