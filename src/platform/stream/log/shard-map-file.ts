/**
 * The shards of a stream, in a small file beside its log. A change writes a new file and only then removes the one
 * before, so at any moment one of them is whole; the newest whole one counts. Each begins with a line that says what it
 * is and the crc32 of the rest, which is JSON.
 */
import { crc32 } from 'node:zlib';
import { codeOf } from '../../../kernel/errors.ts';
import { type File, type Files, joinPath } from '../../../kernel/files.ts';
import { shardsNotChanged, streamCorrupt, streamFailed } from '../errors.ts';
import { hashKeyMax, type KeptShard, openShardsOf, type ShardMap, shardIdOf } from '../shards.ts';
import { readWhole } from './segment.ts';

const title = 'mimamori shards 1';

interface MapFile {
  readonly generation: number;
  readonly path: string;
}

interface StoredShard {
  readonly number: number;
  readonly from: string;
  readonly to: string;
  readonly starting: string;
  readonly ending?: string;
  readonly closedAtMs?: number;
  readonly parent?: string;
  readonly adjacentParent?: string;
}

/**
 * The map in force, for the stream's writer; undefined when there was never one. Removes what a crash has left.
 * @param logHasShards  whether the log was written by somebody who had a map; then losing it is `stream.corrupt`.
 */
export async function openShardMap(
  files: Files,
  directory: string,
  logHasShards: boolean,
): Promise<ShardMap | undefined> {
  const mapFiles = await listMapFiles(files, directory);
  const whole = await newestWhole(files, mapFiles);
  if (!whole && logHasShards) {
    throw streamCorrupt(mapFiles.at(-1)?.path ?? mapPath(directory, 1), 0, 'the shards of the stream are not known');
  }
  // The process before may not have come to sync it, or in vain: made durable before anything relies on it.
  if (whole) await writeMapFile(files, directory, whole);
  const leftOver = mapFiles.filter(({ generation }) => generation !== whole?.generation);
  for (const { path } of leftOver) await files.remove(path);
  if (leftOver.length > 0) await files.syncDirectory(directory); // Else a later one could be taken for newer.
  return whole;
}

/** The map of this generation, for readers; 0: the newest there is. Undefined when it has been replaced meanwhile. */
export async function readShardMap(files: Files, directory: string, generation: number): Promise<ShardMap | undefined> {
  if (generation === 0) return newestWhole(files, await listMapFiles(files, directory));
  const path = mapPath(directory, generation);
  try {
    const map = await readMapFile(files, path);
    if (!map) throw streamCorrupt(path, 0, 'the shards of the stream are not known');
    return map;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/**
 * Makes the map durable in place of the one before. Throws `stream.shardsNotChanged`: the one before is in force; or
 * `stream.failed`: nobody can say which is.
 */
export async function writeShardMap(files: Files, directory: string, map: ShardMap): Promise<void> {
  try {
    await writeMapFile(files, directory, map);
  } catch (cause) {
    await takeBack(files, directory, mapPath(directory, map.generation));
    throw shardsNotChanged(cause);
  }
  await files.remove(mapPath(directory, map.generation - 1)).catch(() => {}); // Of no use, but no harm: opening removes it.
}

async function takeBack(files: Files, directory: string, path: string): Promise<void> {
  try {
    await files.remove(path);
    await files.syncDirectory(directory); // Else a power cut could bring it back.
  } catch (cause) {
    throw streamFailed(cause);
  }
}

async function writeMapFile(files: Files, directory: string, map: ShardMap): Promise<void> {
  const bytes = encodeMap(map);
  const file = await files.open(mapPath(directory, map.generation), { create: true });
  try {
    await file.write(bytes, 0);
    await file.truncate(bytes.length);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.syncDirectory(directory);
}

function mapPath(directory: string, generation: number): string {
  return joinPath(directory, `shards-${String(generation).padStart(10, '0')}`);
}

/** Oldest first. */
async function listMapFiles(files: Files, directory: string): Promise<MapFile[]> {
  const names = (await files.list(directory)).filter(name => /^shards-\d{10}$/.test(name));
  return names.map(name => ({ generation: Number(name.slice(-10)), path: joinPath(directory, name) }));
}

async function newestWhole(files: Files, mapFiles: MapFile[]): Promise<ShardMap | undefined> {
  for (const { generation, path } of mapFiles.toReversed()) {
    const map = await readMapFile(files, path);
    if (map?.generation === generation) return map;
  }
  return undefined;
}

/** Undefined when it is torn or damaged. */
async function readMapFile(files: Files, path: string): Promise<ShardMap | undefined> {
  let file: File | undefined;
  try {
    file = await files.open(path, { readOnly: true });
    return decodeMap(await readWhole(file), path);
  } finally {
    await file?.close();
  }
}

function encodeMap({ generation, nextNumber, shards }: ShardMap): Buffer {
  const stored: StoredShard[] = shards.map(shard => ({
    number: shard.number,
    from: shard.hashKeys.from.toString(16),
    to: shard.hashKeys.to.toString(16),
    starting: String(shard.startingSequenceNumber),
    ...(shard.endingSequenceNumber !== undefined && { ending: String(shard.endingSequenceNumber) }),
    ...(shard.closedAtMs !== undefined && { closedAtMs: shard.closedAtMs }),
    ...(shard.parentShardId !== undefined && { parent: shard.parentShardId }),
    ...(shard.adjacentParentShardId !== undefined && { adjacentParent: shard.adjacentParentShardId }),
  }));
  const body = Buffer.from(JSON.stringify({ generation, nextNumber, shards: stored }));
  return Buffer.concat([Buffer.from(`${title} ${checksumOf(body)}\n`), body]);
}

function decodeMap(bytes: Buffer, path: string): ShardMap | undefined {
  const bodyAt = bytes.indexOf('\n') + 1;
  const [, version, checksum] =
    /^mimamori shards (\d+) ([0-9a-f]{8})\n$/.exec(bytes.toString('latin1', 0, bodyAt)) ?? [];
  const body = bytes.subarray(bodyAt);
  if (checksum === undefined || checksum !== checksumOf(body)) return undefined;
  if (version !== '1') throw streamCorrupt(path, 0, 'it was written by another version of the stream');
  // It is what encodeMap made: the checksum says so.
  const { generation, nextNumber, shards } = JSON.parse(body.toString()) as {
    generation: number;
    nextNumber: number;
    shards: StoredShard[];
  };
  const map = { generation, nextNumber, shards: shards.map(fromStored) };
  return coversAllKeys(map) ? map : undefined;
}

function fromStored(stored: StoredShard): KeptShard {
  return {
    number: stored.number,
    shardId: shardIdOf(stored.number),
    hashKeys: { from: BigInt(`0x${stored.from}`), to: BigInt(`0x${stored.to}`) },
    startingSequenceNumber: BigInt(stored.starting),
    ...(stored.ending !== undefined && { endingSequenceNumber: BigInt(stored.ending) }),
    ...(stored.closedAtMs !== undefined && { closedAtMs: stored.closedAtMs }),
    ...(stored.parent !== undefined && { parentShardId: stored.parent }),
    ...(stored.adjacentParent !== undefined && { adjacentParentShardId: stored.adjacentParent }),
  };
}

function coversAllKeys(map: ShardMap): boolean {
  let next = 0n;
  for (const { hashKeys } of openShardsOf(map)) {
    if (hashKeys.from !== next) return false;
    next = hashKeys.to + 1n;
  }
  return next === hashKeyMax + 1n;
}

function checksumOf(body: Buffer): string {
  return crc32(body).toString(16).padStart(8, '0');
}
