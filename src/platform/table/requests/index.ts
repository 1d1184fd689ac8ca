/**
 * What DynamoDB refuses before it looks at any data: types, then constraints, then what a call's parameters say
 * together, in DynamoDB's order and words. Expressions are read, and keys compared with the schema, by the operations.
 */
import type { Door } from '../engine.ts';
import { wireFormat } from '../values/wire-format.ts';
import { batchRequests } from './batches.ts';
import { checkConstraints } from './constraints.ts';
import { itemRequests } from './items.ts';
import { pageRequests } from './pages.ts';
import type { LegacyCheck, Request, RequestDescription, Wording } from './shapes.ts';
import { streamRequests } from './streams.ts';
import { tableRequests } from './tables.ts';
import { transactionRequests } from './transactions.ts';
import { checkTypes } from './types.ts';
import { isBeyondNewerLayer } from './values.ts';

const requests = {
  ...itemRequests,
  ...pageRequests,
  ...batchRequests,
  ...transactionRequests,
  ...tableRequests,
  ...streamRequests,
} satisfies Record<string, RequestDescription>;

export type OperationName = keyof typeof requests;

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(requests, name);
}

/** In which words an operation refuses. */
export function wordingOf(name: OperationName): Wording {
  return requests[name].wording;
}

/**
 * Throws `table.malformed` (SerializationException) and `table.invalid` (ValidationException); in process also
 * `table.notSupported` for parameters nobody knows.
 * @param input  over the wire: as parsed from JSON for this call, whose values may be changed in place
 * @param checkLegacy  looks at conditions from before expressions, when it is their turn
 * @returns the request as operations read it: null and unknown members left out, what JSON spells otherwise converted
 */
export function checkRequest(
  name: OperationName,
  input: unknown,
  door: Pick<Door, 'format'>,
  checkLegacy?: LegacyCheck,
): Request {
  const description: RequestDescription = requests[name];
  const isWire = door.format === wireFormat;
  const request = checkTypes(name, description.members, input, isWire);
  try {
    checkAll(request, description, isWire, checkLegacy);
  } catch (refused) {
    // What is refused as too deep is refused in the older words where it is deeper than the newer layer can read.
    if (description.wording === 'enveloped' && isWire && isBeyondNewerLayer(request)) {
      checkAll(request, { ...description, wording: 'older' }, isWire, checkLegacy);
    }
    throw refused;
  }
  return request;
}

function checkAll(
  request: Request,
  description: RequestDescription,
  isWire: boolean,
  checkLegacy: LegacyCheck | undefined,
): void {
  const { wording } = description;
  checkConstraints(request, description);
  description.check?.(request, {
    wording,
    isWire,
    checkLegacy: parameter => checkLegacy?.(parameter, request, wording),
  });
}
