/** Shards: listed, split, merged, scaled. */
import { codeOf } from '../../../kernel/errors.ts';
import type { CatalogStream, Shard } from '../../../platform/stream/index.ts';
import { accountId, streamArn } from '../arn.ts';
import { type Context, nameOf, type StreamNamed, streamOf } from '../context.ts';
import { kinesisLimits } from '../limits.ts';
import { invalidArgument, notValid, shardNotFound, streamNotFound, tokenExpired } from '../refusals.ts';
import { byId, isOpen, shardIdFrom, shardOutput } from '../shard-output.ts';

interface ListShardsInput extends StreamNamed {
  readonly NextToken?: string;
  readonly ExclusiveStartShardId?: string;
  readonly MaxResults?: number;
  readonly ShardFilter?: ShardFilter;
}

interface ShardFilter {
  readonly Type:
    | 'AFTER_SHARD_ID'
    | 'AT_TRIM_HORIZON'
    | 'FROM_TRIM_HORIZON'
    | 'AT_LATEST'
    | 'AT_TIMESTAMP'
    | 'FROM_TIMESTAMP';
  readonly ShardId?: string;
  /** Seconds since 1970. */
  readonly Timestamp?: number;
}

/** What a token brings back. */
interface Page {
  readonly name: string;
  readonly createdAtMs: number;
  readonly after: string;
  readonly filter?: ShardFilter;
  readonly issuedAtMs: number;
}

export async function listShards(context: Context, input: ListShardsInput): Promise<object> {
  const { NextToken: token, ExclusiveStartShardId: start, ShardFilter: filter, MaxResults } = input;
  const isNamed = input.StreamName !== undefined || input.StreamARN !== undefined;
  if (token === undefined && !isNamed) throw invalidArgument('Either NextToken or StreamName should be provided.');
  if (token !== undefined && isNamed) throw invalidArgument('NextToken and StreamName cannot be provided together.');
  const page = token === undefined ? undefined : readToken(context, token);
  const stream = page ? context.catalog.find(page.name) : streamOf(context, input);
  if (!stream || (page && stream.settings.createdAtMs !== page.createdAtMs))
    throw streamNotFound(page?.name ?? nameOf(input));
  const asked = page?.filter ?? filter;
  const after = page?.after ?? (start === undefined ? '' : shardIdFrom(start, stream.name));
  const shards = stream.status === 'CREATING' || stream.status === 'DELETING' ? [] : await stream.shards();
  const listed = (asked ? await filtered(stream, shards, asked) : shards).sort(byId);
  const behind = listed.filter(({ shardId }) => shardId > after);
  const limit = MaxResults ?? kinesisLimits.listShardsDefault;
  const given = behind.slice(0, limit);
  return {
    Shards: given.map(shard => shardOutput(stream, shard)),
    NextToken: behind.length > limit ? tokenFor(context, stream, given[given.length - 1].shardId, asked) : undefined,
  };
}

async function filtered(stream: CatalogStream, shards: readonly Shard[], filter: ShardFilter): Promise<Shard[]> {
  const { Type: type, ShardId: shardId, Timestamp: seconds } = filter;
  switch (type) {
    case 'AFTER_SHARD_ID': {
      if (shardId === undefined) throw invalidArgument('ShardFilter AFTER_SHARD_ID needs a ShardId.');
      const after = shardIdFrom(shardId, stream.name);
      return shards.filter(shard => shard.shardId > after);
    }
    case 'FROM_TRIM_HORIZON':
      return [...shards];
    case 'AT_TRIM_HORIZON':
      return rootsOf(shards);
    case 'AT_LATEST':
      return shards.filter(isOpen);
    default: {
      if (seconds === undefined) throw invalidArgument(`ShardFilter ${type} needs a Timestamp.`);
      const from = await shardsFrom(stream, shards, seconds * 1_000);
      return type === 'AT_TIMESTAMP' ? rootsOf(from) : from;
    }
  }
}

/** Those whose parents are not among them: where to begin, so that children are read after their parents. */
function rootsOf(shards: readonly Shard[]): Shard[] {
  const ids = new Set(shards.map(({ shardId }) => shardId));
  const isThere = (id: string | undefined) => id !== undefined && ids.has(id);
  return shards.filter(shard => !isThere(shard.parentShardId) && !isThere(shard.adjacentParentShardId));
}

/** Those that are open, or hold a record from then on. When a shard was closed is known by its records only. */
async function shardsFrom(stream: CatalogStream, shards: readonly Shard[], atMs: number): Promise<Shard[]> {
  const from: Shard[] = [];
  for (const shard of shards) {
    const { shardId, endingSequenceNumber: ending } = shard;
    if (ending === undefined) from.push(shard);
    else if (((await stream.locate(shardId, { type: 'AT_TIMESTAMP', atMs })) ?? 0n) < ending) from.push(shard);
  }
  return from;
}

function tokenFor({ seal, clock }: Context, stream: CatalogStream, after: string, filter?: ShardFilter): string {
  const { name, settings } = stream;
  const page: Page = { name, createdAtMs: settings.createdAtMs, after, filter, issuedAtMs: clock.nowMs() };
  return seal.close(Buffer.from(JSON.stringify(page)));
}

function readToken({ seal, clock }: Context, token: string): Page {
  const bytes = seal.open(token);
  if (bytes === undefined || bytes[0] !== 0x7b) throw invalidArgument('Invalid NextToken.'); // an iterator is none
  const page: Page = JSON.parse(bytes.toString());
  if (clock.nowMs() - page.issuedAtMs > kinesisLimits.tokenValidMs) throw tokenExpired();
  return page;
}

export async function splitShard(
  { catalog }: Context,
  input: StreamNamed & { readonly ShardToSplit: string; readonly NewStartingHashKey: string },
): Promise<undefined> {
  const name = nameOf(input);
  const shardId = shardIdFrom(input.ShardToSplit, name);
  const stream = catalog.find(name);
  if (stream === undefined) throw streamNotFound(name);
  checkProvisioned(stream, 'SplitShard');
  const hashKey = BigInt(input.NewStartingHashKey);
  await stream.reshard(async shards => {
    const shard = await findShard(stream, shardId);
    catalog.checkShards(1);
    const { from, to } = shard.hashKeys;
    if (hashKey <= from + 1n || hashKey >= to) {
      throw invalidArgument(
        `NewStartingHashKey ${hashKey} used in SplitShard() on shard ${shardId} in stream ${name} under account ${accountId} is not both greater than one plus the shard's StartingHashKey ${from} and less than the shard's EndingHashKey ${to}.`,
      );
    }
    await shards.splitShard(shardId, hashKey).catch(error => {
      throw closedOr(error, shardId, name);
    });
  });
}

export async function mergeShards(
  { catalog }: Context,
  input: StreamNamed & { readonly ShardToMerge: string; readonly AdjacentShardToMerge: string },
): Promise<undefined> {
  const name = nameOf(input);
  const one = shardIdFrom(input.ShardToMerge, name);
  const other = shardIdFrom(input.AdjacentShardToMerge, name);
  const stream = catalog.find(name);
  if (stream === undefined) throw streamNotFound(name);
  checkProvisioned(stream, 'MergeShards');
  await stream.reshard(async shards => {
    const [left, right] = [await findShard(stream, one), await findShard(stream, other)];
    const isAdjacent = left.hashKeys.to + 1n === right.hashKeys.from; // As on AWS, the lower one comes first.
    if (!isAdjacent || !isOpen(left) || !isOpen(right)) {
      throw invalidArgument(
        `Shards ${one} and ${other} in stream ${name} under account ${accountId} are not an adjacent pair of shards eligible for merging`,
      );
    }
    await shards.mergeShards(one, other);
  });
}

export async function updateShardCount(
  context: Context,
  input: StreamNamed & { readonly TargetShardCount: number },
): Promise<object> {
  const stream = streamOf(context, input);
  checkProvisioned(stream, 'UpdateShardCount');
  const { openShardCount: current } = stream.settings;
  const { TargetShardCount: target } = input;
  const told = `Current open shard count: ${current} Target shard count: ${target}`;
  if (target > current * 2) {
    throw invalidArgument(`UpdateShardCount cannot scale up over double your current open shard count. ${told}`);
  }
  if (target < current / 2) {
    throw invalidArgument(`UpdateShardCount cannot scale down below half your current open shard count. ${told}`);
  }
  await context.catalog.updateShardCount(stream.name, target);
  return {
    StreamName: stream.name,
    CurrentShardCount: current,
    TargetShardCount: target,
    StreamARN: streamArn(stream.name),
  };
}

/** Throws `ResourceNotFoundException`. */
async function findShard(stream: CatalogStream, shardId: string): Promise<Shard> {
  const shard = (await stream.shards()).find(each => each.shardId === shardId);
  if (shard === undefined) throw shardNotFound(shardId, stream.name);
  return shard;
}

function closedOr(error: unknown, shardId: string, name: string): unknown {
  if (codeOf(error) !== 'stream.shardNotOpen') return error;
  return invalidArgument(
    `Shard ${shardId} in stream ${name} under account ${accountId} has already been merged or split, and thus is not eligible for merging or splitting.`,
  );
}

/** The shards of an on-demand stream are not its owner's to change. */
function checkProvisioned({ name, settings }: CatalogStream, operation: string): void {
  if (settings.mode === 'PROVISIONED') return;
  throw notValid(
    `Request is invalid. ${operation} is not supported for stream ${name}, which is in ON_DEMAND mode. Switch it to PROVISIONED mode first.`,
  );
}
