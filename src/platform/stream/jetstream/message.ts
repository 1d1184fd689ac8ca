import type { StoredMsg } from '@nats-io/jetstream';
import { partitionKeyOf, walkRecords } from '../packed-records.ts';
import type { SequenceNumber, StreamRecord } from '../port.ts';
import { streamVersionUnknown } from './errors.ts';

/** On each message of ours: what it is, and the version of its format. */
export const kindHeader = 'Mimamori-Message';
export const idHeader = 'Nats-Msg-Id';
/** For messages of others: the partition key of the record that is made of it. */
const partitionKeyHeader = 'Partition-Key';
const placeBits = 16n;

/**
 * records: packed as `RecordBatch` packs them, the group that was waiting when the message was made. end: the shard is
 * closed, nothing follows. map: the shards of the stream. foreign: what someone else published; it is one record.
 */
export type MessageKind = 'records' | 'end' | 'map' | 'foreign';
const kinds: ReadonlyMap<string, MessageKind> = new Map([
  ['records/1', 'records'],
  ['end/1', 'end'],
  ['map/1', 'map'],
]);

export interface Message {
  /** In its stream of JetStream. */
  readonly number: number;
  readonly kind: MessageKind;
  readonly id: string;
  readonly arrivalAtMs: number;
  readonly body: Buffer;
  readonly foreignKey: string;
}

export function kindText(kind: Exclude<MessageKind, 'foreign'>): string {
  return `${kind}/1`;
}

/** Throws `stream.versionUnknown`. */
export function messageOf(stored: StoredMsg): Message {
  const text = stored.header?.get(kindHeader) ?? '';
  const kind = text === '' ? 'foreign' : kinds.get(text);
  if (kind === undefined) throw streamVersionUnknown(`Message ${stored.seq} of ${stored.subject}`);
  const { data } = stored;
  return {
    number: stored.seq,
    kind,
    id: stored.header?.get(idHeader) ?? '',
    arrivalAtMs: stored.time.getTime(),
    body: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    foreignKey: stored.header?.get(partitionKeyHeader) || stored.subject,
  };
}

/** The message's number, and the place in the message in the low bits: increasing, not dense. */
export function sequenceNumberAt(messageNumber: number, index: number): SequenceNumber {
  return (BigInt(messageNumber) << placeBits) | BigInt(index);
}

/** The last number that a record of the message may have. */
export function lastNumberIn(messageNumber: number): SequenceNumber {
  return sequenceNumberAt(messageNumber + 1, 0) - 1n;
}

/** The message that holds the record. */
export function messageNumberOf(sequenceNumber: SequenceNumber): number {
  return Number(sequenceNumber >> placeBits);
}

/** Its records behind `after`. Their data are views into the message. */
export function recordsIn(message: Message, after: SequenceNumber): StreamRecord[] {
  const { kind, number, arrivalAtMs, body, foreignKey } = message;
  if (kind === 'end' || kind === 'map') return [];
  const records: StreamRecord[] = [];
  let sequenceNumber = sequenceNumberAt(number, 0);
  if (kind === 'foreign') {
    if (sequenceNumber > after) records.push({ sequenceNumber, partitionKey: foreignKey, data: body, arrivalAtMs });
    return records;
  }
  for (const record of walkRecords(body)) {
    if (sequenceNumber > after) {
      const data = body.subarray(record.dataStart, record.end);
      records.push({ sequenceNumber, partitionKey: partitionKeyOf(body, record), data, arrivalAtMs });
    }
    sequenceNumber++;
  }
  return records;
}
