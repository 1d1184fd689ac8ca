/**
 * For tests, until the embedded table has them: batchGet, batchWrite and scan, made of what it has. A stand-in that knows
 * only the inputs that entities send; the engine's own take its place when they are there.
 */
import type { Table } from '../../platform/table/index.ts';

interface Key {
  readonly PK: string;
  readonly SK: string;
}

type TransactItem = NonNullable<Parameters<Table['transactWrite']>[0]['TransactItems']>[number];

const scannedPerPageMax = 1_000;

export function missingReads(table: Table): Table {
  const known = new Map<string, Key>();
  const remember = (key: unknown) => {
    const { PK, SK } = key as Key; // Every record of the app's table has these keys.
    known.set(`${PK}\0${SK}`, { PK, SK });
  };
  const stand: Partial<Table> = {
    put: input => {
      remember(input.Item);
      return table.put(input);
    },
    update: input => {
      remember(input.Key);
      return table.update(input);
    },
    transactWrite: input => {
      for (const { Put, Update } of (input.TransactItems ?? []) as TransactItem[]) {
        if (Put || Update) remember(Put?.Item ?? Update?.Key);
      }
      return table.transactWrite(input);
    },
    batchGet: async ({ RequestItems = {} }) => {
      const [[TableName, { Keys = [] }]] = Object.entries(RequestItems);
      if (Keys.length > 100) throw new Error('Too many items requested for the BatchGetItem call');
      const answers = await Promise.all(Keys.map(Key => table.get({ TableName, Key, ConsistentRead: true })));
      return { Responses: { [TableName]: answers.flatMap(({ Item }) => (Item ? [Item] : [])) }, UnprocessedKeys: {} };
    },
    batchWrite: async ({ RequestItems = {} }) => {
      const [[TableName, requests]] = Object.entries(RequestItems);
      if (requests.length > 25) throw new Error('Too many items requested for the BatchWriteItem call');
      await Promise.all(requests.map(({ DeleteRequest }) => table.delete({ TableName, Key: DeleteRequest?.Key })));
      return { UnprocessedItems: {} };
    },
    scan: async ({
      TableName,
      ExclusiveStartKey,
      Limit = scannedPerPageMax,
      FilterExpression,
      ExpressionAttributeValues,
    }) => {
      const keys = [...known].sort(([left], [right]) => (left < right ? -1 : 1));
      const from = ExclusiveStartKey ? `${ExclusiveStartKey.PK}\0${ExclusiveStartKey.SK}` : '';
      const found = [];
      let evaluated = 0;
      for (const [text, Key] of keys) {
        if (text <= from) continue;
        const { Item } = await table.get({ TableName, Key: { ...Key } });
        if (!Item) continue;
        const kind: string = ExpressionAttributeValues?.[':kind'] ?? '';
        const matches = FilterExpression?.startsWith('begins_with') ? Key.SK.startsWith(kind) : Key.SK === kind;
        if (!FilterExpression || matches) found.push(Item);
        if (++evaluated >= Limit)
          return { Items: found, LastEvaluatedKey: { ...Key }, ConsumedCapacity: { CapacityUnits: evaluated / 2 } };
      }
      return { Items: found, ConsumedCapacity: { CapacityUnits: evaluated / 2 } };
    },
  };
  return new Proxy(table, {
    get(target, name: keyof Table) {
      const own = stand[name] ?? target[name];
      return own.bind(target);
    },
  });
}
