import type { Clock } from '../../../kernel/clock.ts';
import type { Files } from '../../../kernel/files.ts';
import type { Random } from '../../../kernel/random.ts';
import {
  EmbeddedStream,
  EmbeddedStreamReader,
  LocalTail,
  onlyShard,
  type SequenceNumber,
} from '../../../platform/stream/index.ts';
import type { ClientState, Message } from '../client-state.ts';
import { JournalLog } from './journal-log.ts';
import { journalLimits } from './limits.ts';
import { Replay } from './replay.ts';

export interface RecoverJournalOptions {
  readonly files: Files;
  readonly clock: Clock;
  /** Salts a new log. The system's when absent. */
  readonly random?: Random;
  /** Of the journal alone. Created when absent. */
  readonly directory: string;
  /** For tests. */
  readonly segmentBytesMax?: number;
  /** As the stream's. */
  readonly paddingBytes?: number;
}

/** What the gateway knew when the process before it ended, and where it goes on writing. */
export interface RecoveredJournal {
  /** As the last durable event left them; what has expired since is still there. Messages are shared as they were. */
  readonly clients: ClientState[];
  readonly retained: Message[];
  readonly lastClientNo: number;
  readonly lastMessageNo: number;
  /** Takes the batches of the one `Journal` that goes on, and nothing else. */
  readonly stream: EmbeddedStream;
  readonly log: JournalLog;
}

/**
 * Opens the journal, or creates an empty one, and replays it. Throws `journal.notReadable`, and what the stream throws
 * when it is damaged: it never takes a journal it cannot read for an empty one.
 */
export async function recoverJournal(options: RecoverJournalOptions): Promise<RecoveredJournal> {
  const { files, clock, random, directory } = options;
  let log: JournalLog | undefined;
  const stream = await EmbeddedStream.open({
    files,
    clock,
    ...(random && { random }),
    directory,
    segmentBytesMax: options.segmentBytesMax ?? journalLimits.segmentBytesMax,
    ...(options.paddingBytes !== undefined && { paddingBytes: options.paddingBytes }),
    retentionBytesMax: 0, // What is redundant is of no use to anyone.
    consumedUpTo: () => log?.redundantUpTo ?? null,
    onDurable: last => log?.becomeDurable(last),
  });
  try {
    const { lastSequenceNumber } = stream;
    const replay = await replayLog(files, directory, lastSequenceNumber);
    const { clients, retained } = replay.finish(lastSequenceNumber);
    const { lastClientNo, lastMessageNo, redundantUpTo, checkpointBytes, grownBytes } = replay;
    log = new JournalLog({ lastSequenceNumber, redundantUpTo, checkpointBytes, grownBytes });
    return { clients, retained, lastClientNo, lastMessageNo, stream, log };
  } catch (error) {
    await stream.close();
    throw error;
  }
}

/** Reads it from the oldest segment there is to the end, a chunk at a time. */
async function replayLog(files: Files, directory: string, last: SequenceNumber): Promise<Replay> {
  const replay = new Replay();
  const reader = new EmbeddedStreamReader({ files, directory, tail: new LocalTail(last) });
  try {
    for (let after: SequenceNumber | null = null; after !== last; ) {
      const records = await reader.read(onlyShard, after, journalLimits.replayChunkBytes);
      if (records.length === 0) break; // There was never one.
      for (const record of records) replay.apply(record);
      after = records[records.length - 1].sequenceNumber;
    }
  } finally {
    await reader.close();
  }
  return replay;
}
