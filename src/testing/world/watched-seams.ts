/** What stands between the parts of a backend under test: it notes what is under way, and lets faults strike. */
import { meaningOfTopic } from '../../app/topics.ts';
import type { Iot, OutgoingMessage, PublishReceipt } from '../../iot/port.ts';
import { type Caller, currentCaller } from '../../kernel/callers.ts';
import type { Seams } from '../../local/seams.ts';
import type { Stream, StreamReader } from '../../platform/stream/index.ts';
import type { ChangeFeed, Meter, OpenTable, Table } from '../../platform/table/index.ts';
import { isWrite, type TableOperation } from '../faults/table-faults.ts';
import { requestOn } from '../request-topics.ts';
import type { Activity } from './activity.ts';
import { type Kept, testCaller } from './kept.ts';

export interface WatchedSeamsOptions {
  readonly kept: Kept;
  readonly activity: Activity;
  readonly application: string;
  readonly indexLagMs: number;
  /** Something has become durable in the stream. */
  readonly onAppended: () => void;
}

export function watchedSeams(options: WatchedSeamsOptions): Seams {
  const { kept } = options;
  return {
    stream: stream => watchedStream(stream, options),
    reader: reader => watchedReader(reader, options),
    changes: feed => watchedChanges(feed, options),
    table: table => watchedTable(table, options),
    iot: iot => watchedIot(iot, options),
    meter: untested,
    onInvocation: report => kept.invocations.note(report),
  };
}

function isTest(caller: Caller | undefined): boolean {
  return caller?.functionName === testCaller;
}

/** Whoever calls, for whoever is told of it. */
function callerName(): string {
  return currentCaller()?.functionName ?? 'the app';
}

function watchedTable(table: Table, { kept, activity, indexLagMs }: WatchedSeamsOptions): Table {
  const { clock } = kept.world;
  const around = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const caller = currentCaller();
    if (isWrite(operation)) activity.writes++;
    const made = isTest(caller) ? call() : kept.faults.table.apply(operation, call);
    const answer = await activity.during(`${callerName()} waits for table.${operation}`, made);
    const isShownInLists = isWrite(operation) && caller?.accessPattern !== '$checkpoint';
    if (isShownInLists) activity.indexesLag(clock.monotonicMs() + indexLagMs);
    return answer;
  };
  const method = <Name extends TableOperation>(name: Name): Table[Name] => {
    const inner = table[name] as (input: unknown) => Promise<never>; // Each is given and gives what it is asked for.
    return ((input: unknown) => around(name, () => inner(input))) as Table[Name];
  };
  const { answer }: Partial<OpenTable> = table; // What `documentClientOf` asks.
  return {
    ...table,
    ...(answer && {
      answer: (...call: Parameters<typeof answer>) => around(operationOf(call[0]), () => answer(...call)),
    }),
    get: method('get'),
    put: method('put'),
    delete: method('delete'),
    update: method('update'),
    query: method('query'),
    scan: method('scan'),
    batchGet: method('batchGet'),
    batchWrite: method('batchWrite'),
    transactGet: method('transactGet'),
    transactWrite: method('transactWrite'),
    close: () => table.close(),
  };
}

/** `GetItem` is `get`, `BatchWriteItem` `batchWrite`, `TransactGetItems` `transactGet`. */
function operationOf(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1).replace(/Items?$/, '');
}

/** What the test does is not accounted for, and never throttled. */
function untested(meter: Meter): Meter {
  return {
    begin: caller => {
      if (!isTest(caller)) meter.begin?.(caller);
    },
    admit: use => {
      if (!isTest(use.caller)) meter.admit(use);
    },
    charge: (use, units) => {
      if (!isTest(use.caller)) meter.charge(use, units);
    },
  };
}

function watchedStream(stream: Stream, { kept, activity, onAppended }: WatchedSeamsOptions): Stream {
  return {
    append: async batch => {
      const appending = kept.faults.stream.append(batch, () => stream.append(batch));
      const appended = await activity.during('the stream is written', appending);
      onAppended();
      return appended;
    },
    get pendingBytes() {
      return stream.pendingBytes;
    },
    shards: () => stream.shards(),
    close: () => stream.close(),
  };
}

function watchedReader(reader: StreamReader, { kept, activity }: WatchedSeamsOptions): StreamReader {
  /** What it has read, and for whom: one that is closed is at work no more. */
  const worked = new Map<string, [string, string]>();
  return {
    read: (shardId, ...how) => {
      const name = callerName();
      worked.set(`${name} ${shardId}`, [name, shardId]);
      activity.consumerWorks(name, shardId);
      return kept.faults.stream.read(() => reader.read(shardId, ...how));
    },
    waitBeyond: async (shardId, after, signal) => {
      const name = callerName();
      activity.consumerWaits(name, shardId);
      await reader.waitBeyond(shardId, after, signal);
      activity.consumerWorks(name, shardId);
    },
    locate: (...position) => reader.locate(...position),
    shards: () => reader.shards(),
    close: () => {
      for (const [name, shardId] of worked.values()) activity.consumerEnds(name, shardId);
      return reader.close();
    },
  };
}

const changesShard = 'changes';

function watchedChanges(feed: ChangeFeed, { activity }: WatchedSeamsOptions): ChangeFeed {
  return {
    lastSequenceNumber: () => feed.lastSequenceNumber(),
    trimmedEarly: () => feed.trimmedEarly(),
    read: (after, bytesMax) => {
      activity.consumerWorks(callerName(), changesShard);
      return feed.read(after, bytesMax);
    },
    onceBeyond: (after, wake) => {
      const name = callerName();
      activity.consumerWaits(name, changesShard);
      const stop = feed.onceBeyond(after, wake);
      return () => {
        activity.consumerWorks(name, changesShard);
        stop();
      };
    },
  };
}

function watchedIot(iot: Iot, { kept, activity, application }: WatchedSeamsOptions): Iot {
  const { clock } = kept.world;
  const send = async (message: OutgoingMessage): Promise<PublishReceipt> => {
    const { topic, payload } = message;
    const request = requestOn(application, topic);
    // What is telemetry comes up through the stream, and is noted there.
    const isTelemetry = meaningOfTopic(application, topic)?.kind === 'telemetry';
    const publish = () => {
      if (!isTelemetry) kept.messages.note({ direction: 'down', topic, bytes: payload, atMs: clock.nowMs() });
      return iot.publish(message);
    };
    if (!request) return publish();
    const onItsWay = { thingName: request.thingName, topic, bytes: payload.length };
    return kept.faults.commands.send(onItsWay, publish, async () => ({ subscribers: 1 })); // It is not known to be lost.
  };
  return {
    publish: message => activity.during(`${callerName()} publishes to ${message.topic}`, send(message)),
    createThing: async thingName => {
      const credentials = await activity.during(`${thingName} is registered`, iot.createThing(thingName));
      kept.credentials.set(thingName, credentials);
      return credentials;
    },
    deleteThing: async thingName => {
      await activity.during(`${thingName} is deleted`, iot.deleteThing(thingName));
      kept.credentials.delete(thingName);
    },
    listConnections: thingNames => iot.listConnections(thingNames),
    counters: () => iot.counters(),
  };
}
