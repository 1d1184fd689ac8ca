/** Everything that entities hold, whichever they are: for tools, which may read the whole table. */
import type { Table } from '../../platform/table/index.ts';
import { appTable } from './app-table.ts';
import { calling } from './calling.ts';
import { type Attributes, entityOfRecord, type StoredEntity } from './records.ts';

export interface WholeEntity {
  /** The name of its definition. */
  readonly entity: string;
  readonly attributes: Attributes;
}

/** In no order, at most so many. */
export async function* allEntities(table: Table, entitiesMax: number): AsyncGenerator<WholeEntity> {
  const asTool = calling('$allEntities');
  let left = entitiesMax;
  let from: Record<string, unknown> | undefined;
  do {
    const page = await asTool(() =>
      table.scan({ TableName: appTable.tableName, ConsistentRead: true, ExclusiveStartKey: from }),
    );
    for (const record of (page.Items ?? []) as StoredEntity[]) {
      const entity = entityOfRecord(record); // Every item has the keys of the table; only entities' are so named.
      if (entity === undefined || typeof record.Data !== 'object') continue;
      if (left-- <= 0) return;
      yield { entity, attributes: record.Data };
    }
    from = page.LastEvaluatedKey;
  } while (from);
}
