import type { DeleteTableCommandInput, DeleteTableCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import { invalid } from '../errors.ts';
import type { Answer } from '../port.ts';
import { setStream } from '../streams/stream-state.ts';
import { describeStored } from './table-description.ts';

/** The name is free when the promise resolves; the data go in the background. */
export async function deleteTable(
  engine: Engine,
  { TableName = '' }: DeleteTableCommandInput,
): Promise<Answer<DeleteTableCommandOutput>> {
  const { catalog, changes, clock, transitions, upkeep } = engine;
  const description = await catalog.change(change => {
    const stored = catalog.stored(TableName);
    transitions.checkSettled(stored.tableName);
    if (stored.settings.isDeletionProtected) {
      throw invalid(
        'Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.',
      );
    }
    setStream(change.transaction, stored, undefined, clock.nowMs());
    change.remove(stored);
    engine.indexLag?.forget(stored.id);
    const { GlobalSecondaryIndexes: _gone, ...table } = describeStored({ clock, store: change.transaction }, stored);
    const deleting = { ...table, TableStatus: 'DELETING' as const };
    transitions.begin(stored.tableName, deleting);
    return deleting;
  });
  changes.streamsChanged();
  upkeep.wake();
  return { TableDescription: description };
}
