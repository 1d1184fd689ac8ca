/** What a consumer is made of, besides its settings. */
import type { Clock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import type { Random } from '../../../kernel/random.ts';
import { consumerNotValid } from '../errors.ts';
import type { RecordFilter, SequenceNumber, ShardId, StreamReader, StreamRecord } from '../port.ts';
import type { BatchHandler, DeadLetter, InvocationMarks, KeptWindow, Settled, Suspects } from './batch.ts';
import type { GivenUp } from './failure-message.ts';
import { compileFilter } from './filter.ts';
import type { SuspectGate } from './intake.ts';
import type { MarkedRange } from './marks.ts';
import type { ConsumerObserver } from './measures.ts';
import { type ConsumerSettings, type FullSettings, fullSettings } from './settings.ts';

/** What consumers of a shard and of a whole stream have in common. */
export interface CommonOptions<Event> extends ConsumerSettings {
  readonly name: string;
  readonly clock: Clock;
  /** Takes a part of each wait before a retry; without it the waits are as long as they may be. */
  readonly random?: Random;
  /** Records it refuses are passed by before they cost anything; default: none. */
  readonly wants?: RecordFilter;
  /** The event a record means to this consumer, or undefined to pass it by. What it throws dead-letters the record. */
  readonly select: (record: StreamRecord) => Event | undefined;
  /** The JSON of a record that `filter` looks at; default: its data. */
  readonly filteredData?: (record: StreamRecord) => Buffer | undefined;
  readonly invoke: BatchHandler<Event>;
  /** Keeps a record that could not be handled. The record counts as done when it resolves. */
  readonly deadLetter: (letter: DeadLetter) => Promise<void>;
  /** The on-failure destination: told beside `deadLetter`, once for all records that were given up together. */
  readonly onFailure?: (givenUp: GivenUp) => Promise<void>;
  /** How that message calls the function and the stream. */
  readonly functionArn?: string;
  readonly streamArn?: string;
  /** Whether an error says that there was no room to run: it costs no attempt. Default: a full disk, a throttled function. */
  readonly isThrottle?: (error: unknown) => boolean;
  /** Whether an error will be the same at every attempt, so that none more is made. Default: a chain of events too long. */
  readonly isFinal?: (error: unknown) => boolean;
  readonly observe?: ConsumerObserver;
  /** The stream could not be read, for a reason that passes: it is asked again until it can. */
  readonly onRefused?: (error: unknown) => void;
  /** The newest sequence number, where one counter counts all records of the stream. */
  readonly newest?: () => SequenceNumber;
  /** A state of a window that is larger ends the window early. Default: 1 MB, Lambda's. */
  readonly windowStateBytesMax?: number;
  readonly marks?: InvocationMarks;
  readonly suspects?: Suspects;
}

export interface ConsumerOptions<Event> extends CommonOptions<Event> {
  readonly reader: StreamReader;
  readonly shardId: ShardId;
  /** Null: it has never run. 0: it has, and nothing was done. */
  readonly loadCheckpoint: () => Promise<SequenceNumber | null>;
  /** The window that was kept with the checkpoint. Needed with a tumbling window. */
  readonly loadWindow?: () => Promise<KeptWindow | undefined>;
  /** Resolves once it would survive a crash. `window` is kept with the checkpoint; undefined: there is none any more. */
  readonly saveCheckpoint: (upTo: SequenceNumber, settled: Settled, window?: KeptWindow) => Promise<void>;
  /** Of several that share a mark. */
  readonly markedRange?: MarkedRange;
  readonly gate?: SuspectGate;
}

/** Checks the options, and reads what can be read once. Throws `stream.consumerNotValid`. */
export function readOptions<Event>(options: CommonOptions<Event> & { readonly loadWindow?: unknown }): {
  readonly settings: FullSettings;
  readonly matches: ((record: StreamRecord) => boolean) | undefined;
} {
  const { name, filteredData, loadWindow, clock } = options;
  const settings = fullSettings(name, options);
  if (settings.tumblingWindowMs > 0 && loadWindow === undefined) {
    throw consumerNotValid(name, 'a tumbling window needs loadWindow, or a restart would forget its state');
  }
  const { startingPosition } = settings;
  if (startingPosition.type === 'AT_TIMESTAMP' && startingPosition.atMs > clock.nowMs()) {
    throw consumerNotValid(name, `startingPosition.atMs is ${startingPosition.atMs}, which is in the future`);
  }
  return { settings, matches: settings.filter && compileFilter(name, settings.filter, filteredData) };
}

const throttles = new Set(['store.full', 'function.throttled', 'function.budgetExceeded']);

export function isThrottled(error: unknown): boolean {
  return throttles.has(codeOf(error));
}

export function isLoop(error: unknown): boolean {
  return codeOf(error) === 'function.loop';
}
