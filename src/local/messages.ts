import type { Announcement } from '../app/index.ts';
import type { DevicePolicy, Iot, PartitionKeyStrategy } from '../iot/port.ts';
import type { ReceivedCounts } from '../iot/rules/index.ts';
import type { ErrorFacts } from '../kernel/errors.ts';
import type { AlarmMessage, AlarmState } from '../ops/index.ts';
import type { SequenceNumber } from '../platform/stream/index.ts';

/** A stream of the app's model, as the gateway thread makes it. */
export interface DeclaredStream {
  readonly name: string;
  readonly shards: number;
  readonly partitionKey: PartitionKeyStrategy;
}

/** What an app thread is started with. */
export interface AppThreadData {
  /** The app's module, as a file URL; its default export is the app. */
  readonly appUrl: string;
  readonly dataDirectory: string;
  readonly memory: SharedArrayBuffer;
  readonly httpHost: string;
  readonly httpPort: number;
  /** Undefined: the table is not served. */
  readonly dynamoDb: TableEndpointOptions | undefined;
  /** `aws` throttles the table as DynamoDB does. */
  readonly limits: 'generous' | 'aws';
  /** By how much queries of indexes lag behind writes; 0: not at all. */
  readonly indexLagMs: number;
  readonly accountsForCapacity: boolean;
  /** Logs what each invocation uses, and tells it in the answers of routes. */
  readonly traces: boolean;
  readonly demoUser: string | undefined;
  readonly logLevel: 'info' | 'warn' | 'error' | 'silent';
  readonly operations: OperationsData;
  /** By consumer: what was in flight when the thread before this one had to be ended. */
  readonly suspects: ReadonlyMap<string, SuspectRange>;
}

/** How the app thread tells of itself. */
export interface OperationsData {
  /** Further names of facts that are secret. */
  readonly redactKeys?: readonly string[];
  /** Where metrics are sent to, as OTLP over HTTP. Undefined: nowhere. */
  readonly otlpEndpoint?: string;
  /** Gives metrics to this machine without a token. */
  readonly opensMetrics?: boolean;
}

/** Where and to whom the app's table is served over DynamoDB's protocol. */
export interface TableEndpointOptions {
  readonly host: string;
  readonly port: number;
  /** When the port is taken, a free one is good too. */
  readonly orFreePort: boolean;
  /** Secrets by access key id; without them the host is this machine. */
  readonly credentials?: ReadonlyMap<string, string>;
  /** What signatures must be for; undefined: any is good. */
  readonly region?: string;
}

export interface SuspectRange {
  readonly first: SequenceNumber;
  readonly last: SequenceNumber;
  /** How often the thread had to be ended while that record ran alone. */
  readonly restarts: ReadonlyMap<SequenceNumber, number>;
}

export type IotMethod = keyof Iot;

/** From the gateway thread to the app thread. */
export type ToApp =
  | { readonly type: 'start' }
  | { readonly type: 'moved' }
  | { readonly type: 'stop' }
  | { readonly type: 'received'; readonly received: ReceivedCounts }
  | { readonly type: 'alarms'; readonly alarms: readonly AlarmState[] }
  | { readonly type: 'iotAnswer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'iotRefusal'; readonly id: number; readonly error: ErrorFacts };

/** Where an app thread has come to serve; the next one takes the same. */
export interface AppAddresses {
  readonly httpPort: number;
  readonly dynamoDbUrl: string | undefined;
}

/** What the gateway thread must know of an app before it starts. */
export interface LoadedApp {
  readonly application: string;
  readonly policy: DevicePolicy;
  readonly consumers: readonly string[];
  /** In the order of the model, by which the threads know them. */
  readonly streams: readonly DeclaredStream[];
}

/** From the app thread to the gateway thread. */
export type ToGateway =
  | ({ readonly type: 'loaded' } & LoadedApp)
  /** Storage is open and the heart beats: from here on the thread may be ended at any instant. */
  | { readonly type: 'opened' }
  | ({ readonly type: 'ready' } & AppAddresses)
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: ErrorFacts }
  /** The ledger wants what the gateway has counted until now. */
  | { readonly type: 'receivedAsked' }
  /** An operator wants to see the alarms: the file may be behind, on a full disk by far. */
  | { readonly type: 'alarmsAsked' }
  | { readonly type: 'alarm'; readonly message: AlarmMessage }
  | { readonly type: 'announced'; readonly audience: string; readonly announcement: Announcement }
  | { readonly type: 'iotCall'; readonly id: number; readonly method: IotMethod; readonly args: readonly unknown[] };
