/**
 * What the store holds of the streams of a table. Sequence numbers count the changes of a table by ones, through all
 * its streams, so that none is ever used twice and a reader sees that nothing is missing.
 *
 *   stream   E 0 0 16  table  number           the stream as JSON, its shards in it
 *   state    E 0 0 17  table                   the counter and what else every change moves
 *   change   E 0 0 18  table  sequence number  `change-record.ts`
 */

import { createHash } from 'node:crypto';
import { bufferOf } from '../../../kernel/bytes.ts';
import type { StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { streamArn } from '../arn.ts';
import { tableLimits } from '../limits.ts';
import type { KeyAttribute, StreamViewType } from '../port.ts';
import { afterPrefix, concat, spacePrefix } from '../storage/key-encoding.ts';
import type { TableLayout } from '../storage/layout.ts';
import { systemSpaces } from '../storage/records.ts';

/** Table id 0 belongs to the engine itself. */
const streamSpace = spacePrefix(0, systemSpaces.streams);
const stateSpace = spacePrefix(0, systemSpaces.streamStates);
const changeSpace = spacePrefix(0, systemSpaces.changes);

/** One stream of a table, from being enabled until 24 hours after being disabled. */
export interface StoredStream {
  readonly tableId: number;
  readonly number: number;
  readonly tableName: string;
  /** When it was enabled, as ISO 8601 without a zone: the last part of its ARN. */
  readonly label: string;
  readonly viewType: StreamViewType;
  readonly partitionKeys: readonly KeyAttribute[];
  readonly sortKeys: readonly KeyAttribute[];
  readonly createdAtMs: number;
  readonly disabledAtMs?: number;
  /** Oldest first. The last one is open, unless the stream is disabled. */
  readonly shards: readonly StoredShard[];
}

export interface StoredShard {
  readonly shardId: string;
  readonly parentShardId?: string;
  /** Sequence number of its first change, which may be still to come. Digits. */
  readonly first: string;
  /** Of its last change; absent while it is open. */
  readonly last?: string;
}

export interface StreamState {
  /** Of the last change; 0 before the first one. */
  readonly last: bigint;
  /** Changes up to here are gone. */
  readonly trimmed: bigint;
  /** Of the changes kept. */
  readonly bytes: number;
  /** When the open shard got its first change; 0 while it has none. */
  readonly shardStartedAtMs: number;
  /** Of the table's newest stream; 0 before the first one. */
  readonly streamNumber: number;
}

const freshState: StreamState = { last: 0n, trimmed: 0n, bytes: 0, shardStartedAtMs: 0, streamNumber: 0 };

export function readState(reader: StoreReader, tableId: number): StreamState {
  const found = reader.get(stateKey(tableId));
  return found === undefined ? freshState : stateFrom(found);
}

export function writeState(transaction: StoreTransaction, tableId: number, state: StreamState): void {
  const encoded = Buffer.allocUnsafe(36);
  encoded.writeBigUInt64BE(state.last, 0);
  encoded.writeBigUInt64BE(state.trimmed, 8);
  encoded.writeDoubleBE(state.bytes, 16);
  encoded.writeDoubleBE(state.shardStartedAtMs, 24);
  encoded.writeUInt32BE(state.streamNumber, 32);
  transaction.put(stateKey(tableId), encoded);
}

function stateFrom(bytes: Uint8Array): StreamState {
  const encoded = bufferOf(bytes);
  return {
    last: encoded.readBigUInt64BE(0),
    trimmed: encoded.readBigUInt64BE(8),
    bytes: encoded.readDoubleBE(16),
    shardStartedAtMs: encoded.readDoubleBE(24),
    streamNumber: encoded.readUInt32BE(32),
  };
}

/** Every table that has, or has had, a stream. */
export function tablesWithStreams(reader: StoreReader): { tableId: number; state: StreamState }[] {
  return [...reader.range({ start: stateSpace, end: afterPrefix(stateSpace) })].map(({ key, value }) => ({
    tableId: Buffer.from(key).readUInt16BE(stateSpace.length),
    state: stateFrom(value),
  }));
}

/** All streams that can be read, by table and then by age. */
export function listStored(reader: StoreReader, tableId?: number): StoredStream[] {
  const start = tableId === undefined ? streamSpace : concat([streamSpace, tableBytes(tableId)]);
  return [...reader.range({ start, end: afterPrefix(start) })].map(({ value }) => streamFrom(value));
}

/** The one of that ARN. Few of the many there may be are read for it: every GetRecords asks. */
export function findStored(reader: StoreReader, arn: string): StoredStream | undefined {
  const label = Buffer.from(arn.slice(arn.lastIndexOf('/') + 1), 'utf8');
  for (const { value } of reader.range({ start: streamSpace, end: afterPrefix(streamSpace) })) {
    if (!Buffer.from(value.buffer, value.byteOffset, value.byteLength).includes(label)) continue;
    const stream = streamFrom(value);
    if (streamArn(stream.tableName, stream.label) === arn) return stream;
  }
  return undefined;
}

/** The stream a table has now. */
export function openStreamOf(reader: StoreReader, tableId: number): StoredStream | undefined {
  const { streamNumber } = readState(reader, tableId);
  const found = streamNumber === 0 ? undefined : reader.get(streamKey(tableId, streamNumber));
  const stream = found && streamFrom(found);
  return stream?.disabledAtMs === undefined ? stream : undefined;
}

/**
 * Gives the table a stream with these images, or none. Content when it is so already; another view type begins another
 * stream, as each keeps its own. The stream that ends stays readable for 24 hours.
 */
export function setStream(
  transaction: StoreTransaction,
  table: Pick<TableLayout, 'id' | 'tableName' | 'keys'>,
  viewType: StreamViewType | undefined,
  nowMs: number,
): void {
  const state = readState(transaction, table.id);
  const open = openStreamOf(transaction, table.id);
  const isSame = open?.viewType === viewType && (open === undefined || open.tableName === table.tableName);
  if (isSame) return;
  if (open !== undefined) {
    putStream(transaction, { ...open, shards: closedShards(open.shards, state), disabledAtMs: nowMs });
  }
  if (viewType === undefined) return;
  const createdAtMs = freeLabelMs(transaction, table, nowMs);
  const stream = {
    tableId: table.id,
    number: state.streamNumber + 1,
    tableName: table.tableName,
    label: labelOf(createdAtMs),
    viewType,
    partitionKeys: table.keys.partitionKeys,
    sortKeys: table.keys.sortKeys,
    createdAtMs,
  };
  const shards = [{ shardId: shardIdOf(stream, createdAtMs), first: String(state.last + 1n) }];
  putStream(transaction, { ...stream, shards });
  writeState(transaction, table.id, { ...state, streamNumber: stream.number, shardStartedAtMs: 0 });
}

/** ARN and label of a table's newest stream while it can be read: what DescribeTable tells. */
export function latestStreamOf(
  reader: StoreReader,
  tableId: number,
): { readonly arn: string; readonly label: string } | undefined {
  const { streamNumber } = readState(reader, tableId);
  const found = streamNumber === 0 ? undefined : reader.get(streamKey(tableId, streamNumber));
  if (found === undefined) return undefined;
  const { tableName, label } = streamFrom(found);
  return { arn: streamArn(tableName, label), label };
}

/** Ends the open shard and opens its child once it is four hours since its first change. An empty one stays open. */
export function rollOver(
  transaction: StoreTransaction,
  tableId: number,
  state: StreamState,
  nowMs: number,
): StreamState {
  if (!isRollOverDue(state, nowMs)) return state;
  const open = openStreamOf(transaction, tableId);
  const rolled = { ...state, shardStartedAtMs: 0 };
  writeState(transaction, tableId, rolled);
  if (open === undefined) return rolled;
  const shards = closedShards(open.shards, state);
  const parentShardId = shards[shards.length - 1].shardId;
  const child = { shardId: shardIdOf(open, nowMs), parentShardId, first: String(state.last + 1n) };
  putStream(transaction, { ...open, shards: [...shards, child] });
  return rolled;
}

export function isRollOverDue({ shardStartedAtMs }: StreamState, nowMs: number): boolean {
  return shardStartedAtMs !== 0 && nowMs >= shardStartedAtMs + tableLimits.shardOpenMs;
}

function closedShards(shards: readonly StoredShard[], { last }: StreamState): StoredShard[] {
  // One that got nothing ends where it begins, and nothing is read from it.
  return shards.map(shard => (shard.last === undefined ? { ...shard, last: String(last) } : shard));
}

export function putStream(transaction: StoreTransaction, stream: StoredStream): void {
  transaction.put(streamKey(stream.tableId, stream.number), Buffer.from(JSON.stringify(stream), 'utf8'));
}

export function deleteStream(transaction: StoreTransaction, { tableId, number }: StoredStream): void {
  transaction.delete(streamKey(tableId, number));
}

function streamFrom(stored: Uint8Array): StoredStream {
  return JSON.parse(Buffer.from(stored).toString('utf8')); // only this file writes it
}

export function changeKey(tableId: number, sequenceNumber: bigint): Uint8Array {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(sequenceNumber);
  return concat([changeSpace, tableBytes(tableId), number]);
}

function streamKey(tableId: number, number: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return concat([streamSpace, tableBytes(tableId), bytes]);
}

function stateKey(tableId: number): Uint8Array {
  return concat([stateSpace, tableBytes(tableId)]);
}

function tableBytes(tableId: number): Uint8Array {
  return Uint8Array.of(tableId >>> 8, tableId & 0xff);
}

function labelOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, -1);
}

/** Two streams of one table cannot have one ARN, even if a table comes and goes within a millisecond. */
function freeLabelMs(reader: StoreReader, { tableName }: Pick<TableLayout, 'tableName'>, nowMs: number): number {
  let atMs = nowMs;
  while (findStored(reader, streamArn(tableName, labelOf(atMs))) !== undefined) atMs++;
  return atMs;
}

/** In the order of their opening, as text too; 28 to 65 characters, like those of AWS. */
function shardIdOf({ tableId, number }: Pick<StoredStream, 'tableId' | 'number'>, openedAtMs: number): string {
  const mark = createHash('sha256').update(`${tableId} ${number} ${openedAtMs}`).digest('hex').slice(0, 8);
  return `shardId-${String(openedAtMs).padStart(20, '0')}-${mark}`;
}
