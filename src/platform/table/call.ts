/** The one way into the engine: every call is checked as DynamoDB checks it, then carried out. Both doors use it. */
import { operations as adminOperations } from './admin/index.ts';
import type { Door, Engine } from './engine.ts';
import { notSupported } from './errors.ts';
import { operations } from './operations/index.ts';
import { checkRequest, type OperationName } from './requests/index.ts';
import type { Request } from './requests/shapes.ts';

type Operation = (engine: Engine, input: never, door: Door) => Promise<unknown>;

/** What the engine can do, by API name; the registry of streams joins. */
const registry: Partial<Record<string, Operation>> = { ...operations, ...adminOperations };

export interface CallOptions {
  /** Turns parameters from before expressions into expressions; the endpoint's business. */
  readonly translate?: (name: OperationName, request: Request) => Request;
}

/** Throws what `checkRequest` throws, then what the operation throws. */
export async function callOperation(
  engine: Engine,
  name: OperationName,
  input: unknown,
  door: Door,
  { translate }: CallOptions = {},
): Promise<unknown> {
  const checked = checkRequest(name, input, door);
  const request = translate === undefined ? checked : translate(name, checked);
  const operation = registry[name];
  if (operation === undefined) throw notSupported(name);
  return operation(engine, request as never, door); // a cast: the checks made it what the operation takes
}
