/**
 * A table that waits when it is throttled: on AWS the SDK does so, in process nobody else would. What is still throttled
 * after the last attempt comes out as the table said it.
 */
import type { OpenTable, Table } from '../../platform/table/index.ts';
import { backOff, type EntityEnvironment } from './environment.ts';
import { entityLimits } from './limits.ts';
import { isCancelledByThrottling, isRefusedByThrottling, isThrottling } from './throttling.ts';

type World = Pick<EntityEnvironment, 'clock' | 'random'>;

export function patientTable(table: Table, world: World): Table {
  const reading = <Input, Output>(call: (input: Input) => Promise<Output>) => patient(world, call, isThrottling);
  // A write that failed inside the service may have been carried out: only what was refused is sent again.
  const writing = <Input, Output>(call: (input: Input) => Promise<Output>) =>
    patient(world, call, isRefusedByThrottling);
  const inTransaction = (error: unknown) => isRefusedByThrottling(error) || isCancelledByThrottling(error);
  const anyOf = <Output>(call: () => Promise<Output>) => patient(world, call, inTransaction);
  const { answer }: Partial<OpenTable> = table; // what `documentClientOf` asks
  return {
    ...table, // what an engine has besides the port
    ...(answer && { answer: (...call: Parameters<typeof answer>) => anyOf(() => answer(...call))(undefined) }),
    get: reading(input => table.get(input)),
    query: reading(input => table.query(input)),
    scan: reading(input => table.scan(input)),
    batchGet: reading(input => table.batchGet(input)),
    put: writing(input => table.put(input)),
    update: writing(input => table.update(input)),
    delete: writing(input => table.delete(input)),
    batchWrite: writing(input => table.batchWrite(input)),
    transactGet: patient(world, input => table.transactGet(input), inTransaction),
    transactWrite: patient(world, input => table.transactWrite(input), inTransaction),
    close: () => table.close(),
  };
}

function patient<Input, Output>(
  world: World,
  call: (input: Input) => Promise<Output>,
  passes: (error: unknown) => boolean,
): (input: Input) => Promise<Output> {
  const again = async (input: Input, first: unknown): Promise<Output> => {
    let error = first;
    for (let attempt = 1; attempt < entityLimits.throttledAttemptsMax && passes(error); attempt++) {
      await backOff(world, entityLimits.throttledDelayMs, attempt);
      try {
        return await call(input);
      } catch (thrown) {
        error = thrown;
      }
    }
    throw error;
  };
  return input => call(input).catch(error => again(input, error));
}
