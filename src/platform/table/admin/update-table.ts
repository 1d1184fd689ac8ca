import type { TableDescription, UpdateTableCommandInput, UpdateTableCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import { invalid } from '../errors.ts';
import type { Answer } from '../port.ts';
import type { StoredTable, TableSettings } from '../storage/stored-table.ts';
import { setStream } from '../streams/stream-state.ts';
import { limitsFrom } from './schema.ts';
import { describeStored } from './table-description.ts';
import { updateIndexes } from './update-indexes.ts';
import { updateThroughput } from './update-throughput.ts';

/** All is as asked when the promise resolves, but for an index to be built or emptied; the table still says UPDATING. */
export async function updateTable(
  engine: Engine,
  input: UpdateTableCommandInput,
): Promise<Answer<UpdateTableCommandOutput>> {
  const { catalog, changes, clock, transitions, upkeep } = engine;
  const description = await catalog.change(change => {
    const before = catalog.stored(input.TableName ?? '');
    transitions.checkSettled(before.tableName);
    const nowMs = clock.nowMs();
    const throughput = updateThroughput(before, input, { nowMs, doneAtMs: nowMs + transitions.durationMs });
    const indexed = updateIndexes(throughput.after, input);
    const after = withStream(withSettings(indexed, input, nowMs), input);
    change.put(after);
    if (after.stream !== before.stream) setStream(change.transaction, after, after.stream, nowMs);
    const parts = { clock, store: change.transaction };
    const updating = asUpdating(describeStored(parts, after), describeStored(parts, throughput.meanwhile));
    transitions.begin(after.tableName, updating);
    return updating;
  });
  changes.streamsChanged();
  upkeep.wake();
  return { TableDescription: description };
}

function withSettings(stored: StoredTable, input: UpdateTableCommandInput, nowMs: number): StoredTable {
  const { TableClass, DeletionProtectionEnabled, SSESpecification } = input;
  const { encryption, ...others } = stored.settings;
  const { Enabled, KMSMasterKeyId: keyId } = SSESpecification ?? {};
  const asked = keyId === undefined ? {} : { keyId };
  const encrypted = SSESpecification === undefined ? encryption : Enabled === false ? undefined : asked;
  const settings: TableSettings = {
    ...others,
    ...limitsFrom(input),
    ...(TableClass && { tableClass: TableClass, tableClassChangedAtMs: nowMs }),
    ...(DeletionProtectionEnabled !== undefined && { isDeletionProtected: DeletionProtectionEnabled }),
    ...(encrypted && { encryption: encrypted }),
  };
  return { ...stored, settings };
}

function withStream(stored: StoredTable, { StreamSpecification }: UpdateTableCommandInput): StoredTable {
  if (StreamSpecification === undefined) return stored;
  const { StreamEnabled, StreamViewType } = StreamSpecification;
  const { stream, ...rest } = stored;
  if (StreamEnabled === true) {
    if (stream !== undefined) throw invalid(`Table already has an enabled stream: TableName: ${stored.tableName}`);
    return StreamViewType === undefined ? rest : { ...rest, stream: StreamViewType };
  }
  if (stream === undefined) throw invalid(`Table is already disabled for stream: TableName: ${stored.tableName}`);
  return rest;
}

/** Capacity is told as it was until the table is active again. */
function asUpdating(after: TableDescription, meanwhile: TableDescription): TableDescription {
  const indexes = after.GlobalSecondaryIndexes?.map(index => {
    const same = meanwhile.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === index.IndexName);
    return same === undefined ? index : { ...index, ProvisionedThroughput: same.ProvisionedThroughput };
  });
  return {
    ...after,
    TableStatus: 'UPDATING',
    ProvisionedThroughput: meanwhile.ProvisionedThroughput,
    ...(indexes && { GlobalSecondaryIndexes: indexes }),
  };
}
