/** Reads the whole table for one entity, within a budget that the definition and the call both give. */
import { appTable } from './app-table.ts';
import { calling } from './calling.ts';
import type { EntityEnvironment } from './environment.ts';
import { ScanBudgetError, scanNotAllowed } from './errors.ts';
import { type Attributes, childPrefix, type StoredEntity } from './records.ts';
import type { EntityShape } from './shape.ts';

const scanLimits = {
  pageItemsMax: 100, // ours: so that a budget is overrun by little
  unitsOfPageUnknown: 128, // DynamoDB: 1 MB, eventually consistent; for an engine that does not tell
} as const;

export async function* scanEntities(
  { table, cursors }: EntityEnvironment,
  shape: EntityShape,
  { readUnits, cursor }: { readonly readUnits: number; readonly cursor?: string },
): AsyncGenerator<Attributes> {
  const allowed = shape.definition.scan?.readUnitsMax;
  if (allowed === undefined) throw scanNotAllowed(shape.name, 'its definition does not say so');
  if (!(readUnits > 0 && readUnits <= allowed))
    throw scanNotAllowed(shape.name, `its budget is at most ${allowed} read units`);
  const binding = [shape.name, '#scan'];
  // As sealed below.
  let from = cursor === undefined ? undefined : (cursors.open(binding, cursor) as Record<string, unknown>);
  let used = 0;
  const asScan = calling(`${shape.name}.scan`);
  do {
    if (used >= readUnits && from) throw new ScanBudgetError(shape.name, used, readUnits, cursors.seal(binding, from));
    const input = {
      TableName: appTable.tableName,
      ...baseRecordsOf(shape),
      Limit: scanLimits.pageItemsMax,
      ReturnConsumedCapacity: 'TOTAL',
      ExclusiveStartKey: from,
    } as const;
    const page = await asScan(() => table.scan(input));
    used += page.ConsumedCapacity?.CapacityUnits ?? scanLimits.unitsOfPageUnknown;
    for (const { Data } of (page.Items ?? []) as StoredEntity[]) yield Data; // As the repository put them there.
    from = page.LastEvaluatedKey;
  } while (from);
}

function baseRecordsOf(shape: EntityShape): {
  FilterExpression: string;
  ExpressionAttributeValues: Record<string, string>;
} {
  return shape.parent
    ? { FilterExpression: 'begins_with(SK, :kind)', ExpressionAttributeValues: { ':kind': childPrefix(shape) } }
    : { FilterExpression: 'SK = :kind', ExpressionAttributeValues: { ':kind': shape.name } };
}
