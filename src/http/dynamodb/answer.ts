/** From what an operation gave or threw to the JSON that goes out. */
import { bufferOf } from '../../kernel/bytes.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import { TableError } from '../../platform/table/index.ts';
import { Refusal } from '../aws-json/refusal.ts';

/** Operations whose answers hold no dates and no bytes: their values are in wire form already. */
const plainOperations: ReadonlySet<string> = new Set([
  'GetItem',
  'PutItem',
  'UpdateItem',
  'DeleteItem',
  'Query',
  'Scan',
  'BatchGetItem',
  'BatchWriteItem',
  'TransactGetItems',
  'TransactWriteItems',
  'ReadSnapshot',
]);

export function encodeOutput(operation: string, output: object): string {
  return JSON.stringify(plainOperations.has(operation) ? output : toWire(output));
}

/** Where an error's type lives; SDKs look at what follows the `#`, other clients compare all of it. */
const namespaces = {
  service: 'com.amazon.coral.service#',
  validation: 'com.amazon.coral.validate#',
  availability: 'com.amazon.coral.availability#',
  table: 'com.amazonaws.dynamodb.v20120810#',
} as const;

/** Errors that are not of the table's model. */
const namespaceOf: Readonly<Record<string, string>> = {
  ValidationException: namespaces.validation,
  SerializationException: namespaces.service,
  UnknownOperationException: namespaces.service,
  AccessDeniedException: namespaces.service,
  MissingAuthenticationTokenException: namespaces.service,
  IncompleteSignatureException: namespaces.service,
  InvalidSignatureException: namespaces.service,
  UnrecognizedClientException: namespaces.service,
  RequestEntityTooLargeException: namespaces.service,
  ThrottlingException: namespaces.availability,
};

/** Errors spelled `Message` in the service model; all others say `message`. Source: botocore, "dynamodb" 2012-08-10. */
const largeMessage: ReadonlySet<string> = new Set([
  'TransactionCanceledException',
  'TransactionInProgressException',
  'IdempotentParameterMismatchException',
  'SerializationException',
  'AccessDeniedException',
]);

export function encodeRefusal({ name, message, members }: Refusal): string {
  const body: Record<string, unknown> = { __type: `${namespaceOf[name] ?? namespaces.table}${name}`, ...members };
  if (message !== undefined) body[largeMessage.has(name) ? 'Message' : 'message'] = message;
  return JSON.stringify(body);
}

const statusOf: Readonly<Record<string, number>> = { InternalServerError: 500, ServiceUnavailable: 503 };

/** What errors tell beside their message. */
const memberNames = ['Item', 'CancellationReasons', 'ThrottlingReasons', 'throttlingReasons'] as const;

/** Errors of our own layers below the table that somebody else can mend: to the client, the service is not available. */
const unavailableCodes: ReadonlySet<string> = new Set(['store.full', 'store.busy']);

export function refusalOf(error: unknown, { log, requestId }: { log: Log; requestId: string }): Refusal {
  if (error instanceof TableError) return tableRefusal(error);
  const code = codeOf(error);
  log.error({ requestId, code, error: stackOf(error) }, 'A request to the table failed.');
  // It tells nothing: what went wrong on our side is in the log, under the request's id.
  if (!unavailableCodes.has(code)) return new Refusal(500, 'InternalServerError', 'Internal server error');
  const message = code === 'store.full' ? 'The disk has no room.' : 'Too much waits for the disk.';
  return new Refusal(503, 'ServiceUnavailable', message);
}

function tableRefusal(error: TableError): Refusal {
  const members: Record<string, unknown> = {};
  for (const member of memberNames) {
    const value = (error as unknown as Record<string, unknown>)[member]; // a cast: some classes of errors have it
    if (value !== undefined) members[member] = toWire(value);
  }
  return new Refusal(statusOf[error.name] ?? 400, error.name, error.message, members);
}

/** Dates as seconds since 1970, bytes as base64; everything else as it is. */
function toWire(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value.getTime() / 1_000;
  if (value instanceof Uint8Array) {
    return bufferOf(value).toString('base64');
  }
  if (Array.isArray(value)) return value.map(toWire);
  const names = Object.entries(value).map(([name, each]): [string, unknown] => [name, toWire(each)]);
  return Object.fromEntries(names); // defines, so an attribute may be called __proto__
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
