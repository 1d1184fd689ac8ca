/**
 * The embedded table as the client that DynamoDB libraries (ElectroDB, DynamoDB-Toolbox, one's own code) are given: it
 * takes the SDK's commands, those with JavaScript values (`lib-dynamodb`) and those with typed ones (`client-dynamodb`,
 * `client-dynamodb-streams`), and carries them out in this process. It never retries and has no middlewares.
 */
import assert from 'node:assert/strict';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { awsRegion } from './arn.ts';
import type { AwsTable } from './aws.ts';
import type { OpenTable } from './embedded.ts';
import { notSupported, TableError } from './errors.ts';
import type { Table } from './port.ts';
import { isOperation, type OperationName } from './requests/index.ts';
import { makeDocumentFormat } from './values/document-format.ts';
import type { ValueFormat } from './values/format.ts';
import { type MarshallOptions, withMarshallOptions } from './values/marshall-options.ts';
import { typedFormat } from './values/typed-format.ts';

/** The SDK's `TranslateConfig`, as far as there is something to translate in process. */
export interface DocumentClientOptions<Client extends DynamoDBDocumentClient> {
  /**
   * The SDK's `DynamoDBDocument` or `DynamoDBDocumentClient`: makes the client an instance of it, with its methods.
   * `paginateQuery` and `paginateScan` take no other.
   */
  readonly instanceOf?: { readonly prototype: Client };
  readonly marshallOptions?: MarshallOptions;
  /** `wrapNumbers` makes what stands for a number from its digits: `NumberValue.from`, `BigInt`, `String`. */
  readonly unmarshallOptions?: { readonly wrapNumbers?: (digits: string) => unknown };
}

/**
 * @param table  an embedded one; of one on AWS its own client is given, as it was configured there
 * Its errors are the table's, with what the SDK's have besides (`$fault`, `$metadata`), so that `instanceof
 * ConditionalCheckFailedException` holds. `abortSignal` ends the waiting, with an `AbortError`, not the call.
 */
export function documentClientOf<Client extends DynamoDBDocumentClient = DynamoDBDocumentClient>(
  table: Table,
  options: DocumentClientOptions<Client> = {},
): Client {
  if ('document' in table) return (table as AwsTable).document as DynamoDBDocumentClient as Client; // casts: just looked at
  assert('answer' in table, 'A document client needs the table as `openEmbeddedTable` or `awsTable` gave it.');
  const { answer } = table as OpenTable; // a cast: just looked at
  const { instanceOf, marshallOptions = {}, unmarshallOptions = {} } = options;
  const documents = withMarshallOptions(makeDocumentFormat(unmarshallOptions), marshallOptions);
  const carryOut = async (command: Command, { abortSignal }: SendOptions) => {
    abortSignal?.throwIfAborted();
    const { name, format } = callOf(command, documents);
    const output = await answer(name, command.input, format);
    return { ...(output as object), $metadata: metadata(200) }; // a cast: every answer is an object
  };
  const members = {
    send: sender(carryOut),
    config: { region: async () => awsRegion, translateConfig: { marshallOptions, unmarshallOptions } },
    middlewareStack: { ...noMiddlewares },
    destroy: () => {}, // the table belongs to who opened it
  };
  // A cast: of the SDK's class it has what there is to use in process.
  return Object.assign(Object.create(instanceOf?.prototype ?? Object.prototype), members) as Client;
}

/** What is used of the SDK's commands. Those of `lib-dynamodb` hold one of `client-dynamodb`. */
interface Command {
  readonly input: object;
  readonly clientCommand?: object;
  /** Of a command of `client-dynamodb`: kind, namespace, and the name of the operation. */
  readonly schema?: unknown;
}

interface SendOptions {
  readonly abortSignal?: AbortSignal;
}

type Callback = (error: unknown, output?: unknown) => void;

/** `send` as the SDK overloads it: with a callback in place of the promise, too. */
function sender(carryOut: (command: Command, options: SendOptions) => Promise<object>) {
  return (command: Command, optionsOrCallback: SendOptions | Callback = {}, last?: Callback) => {
    const [options, callback] =
      typeof optionsOrCallback === 'function' ? [{}, optionsOrCallback] : [optionsOrCallback, last];
    const sent = untilAborted(carryOut(command, options), options.abortSignal).catch((error: unknown) => {
      throw asServiceException(error, options.abortSignal);
    });
    if (callback === undefined) return sent;
    sent.then(output => callback(null, output), callback).catch(() => {}); // what a callback throws is nobody's, as in the SDK
    return undefined;
  };
}

function callOf(command: Command, documents: ValueFormat): { name: OperationName; format: ValueFormat } {
  const typed: { readonly schema?: unknown; constructor: { readonly name: string } } = command.clientCommand ?? command;
  // Bundlers shorten the names of classes; older SDKs have no schemas.
  const name = Array.isArray(typed.schema) ? String(typed.schema[2]) : typed.constructor.name.replace(/Command$/, '');
  if (!isOperation(name)) throw notSupported(name);
  return { name, format: command.clientCommand === undefined ? typedFormat : documents };
}

async function untilAborted<Output>(sent: Promise<Output>, signal: AbortSignal | undefined): Promise<Output> {
  if (signal === undefined) return sent;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([sent, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Gives a refusal what the SDK's errors have besides: by these its own classes know it for theirs. */
function asServiceException(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted && error === signal.reason) return Object.assign(new Error('Request aborted'), abortion);
  if (!(error instanceof TableError)) return error;
  const isOurs = error.name === 'InternalServerError';
  return Object.assign(error, {
    $fault: isOurs ? 'server' : 'client',
    $metadata: metadata(isOurs ? 500 : 400),
    ...(error.retryable && { $retryable: {} }),
  });
}

const abortion = { name: 'AbortError' };

const metadata = (httpStatusCode: number) => ({ httpStatusCode, attempts: 1, totalRetryDelay: 0 });

function refuseMiddlewares(): never {
  throw notSupported('middlewares of the SDK, or a client of the SDK around its document client,');
}

/** A client that the SDK made of this one would talk to AWS; it asks for the middlewares first. */
const noMiddlewares = {
  add: refuseMiddlewares,
  addRelativeTo: refuseMiddlewares,
  use: refuseMiddlewares,
  concat: refuseMiddlewares,
  identify: refuseMiddlewares,
};
