import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { IndexSchema, TableSchema } from '../port.ts';
import { checkSchema } from './check-schema.ts';

const s = (name: string) => ({ name, type: 'S' }) as const;
const table: TableSchema = { tableName: 'things', partitionKey: s('pk'), sortKey: s('sk') };
const many = (count: number, index: Omit<IndexSchema, 'indexName'>) =>
  Array.from({ length: count }, (_, at) => ({ ...index, indexName: `index${at}` }));
const local = { kind: 'local', partitionKey: s('pk'), sortKey: s('other') } as const;
const global = { partitionKey: s('other') };
const letters = ['a', 'b', 'c', 'd', 'e'].map(s);

describe('a declared table', () => {
  it('may have all that AWS allows', () => {
    checkSchema({
      ...table,
      indexes: [
        ...many(5, local),
        ...many(19, global).map(index => ({ ...index, indexName: `global-${index.indexName}` })),
        {
          indexName: 'wide',
          partitionKey: letters.slice(0, 4),
          sortKey: [...letters.slice(4), s('f'), s('g'), s('h')],
        },
      ],
    });
  });

  const refused: readonly (readonly [string, TableSchema, RegExp])[] = [
    ['a short name', { ...table, tableName: 'ab' }, /The table name "ab"/],
    ['a key twice', { ...table, sortKey: s('pk') }, /have the same name/],
    ['a key without a name', { ...table, sortKey: s('') }, /1 to 255 characters/],
    [
      'a key of two types',
      { ...table, indexes: [{ indexName: 'one', partitionKey: { name: 'sk', type: 'N' } }] },
      /two types/,
    ],
    ['an index twice', { ...table, indexes: [...many(1, global), ...many(1, global)] }, /declared twice/],
    ['21 global indexes', { ...table, indexes: many(21, global) }, /21 global indexes; 20 are allowed/],
    ['6 local indexes', { ...table, indexes: many(6, local) }, /6 local indexes; 5 are allowed/],
    ['5 partition attributes', { ...table, indexes: many(1, { partitionKey: letters }) }, /4 partition and 4 sort/],
    ['no partition attribute', { ...table, indexes: many(1, { partitionKey: [] }) }, /needs a partition key/],
    [
      'a local index of another partition key',
      { ...table, indexes: many(1, { ...local, partitionKey: s('x') }) },
      /must have the partition key/,
    ],
    [
      'a local index without a sort key',
      { ...table, indexes: many(1, { kind: 'local', partitionKey: s('pk') }) },
      /needs a sort key/,
    ],
    [
      'a local index of a table without one',
      { tableName: 'things', partitionKey: s('pk'), indexes: many(1, local) },
      /needs a sort key/,
    ],
    [
      'more than 100 projected attributes',
      { ...table, indexes: many(6, { ...global, projection: Array.from({ length: 17 }, (_, at) => `a${at}`) }) },
      /102 attributes to project/,
    ],
  ];
  for (const [what, schema, message] of refused) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => checkSchema(schema), { name: 'ValidationException', message });
    });
  }
});
