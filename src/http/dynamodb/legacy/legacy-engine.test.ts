/** The old parameters carried out by the engine, and by an independent implementation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../../kernel/clock.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import {
  callOperation,
  type OperationName,
  openEngine,
  TableError,
  wireFormat,
} from '../../../platform/table/index.ts';
import { type Body, type DynaliteClient, errorMessage, errorName, openDynalite } from './dynalite-client.ts';
import { legacyParameters } from './index.ts';

const TableName = 'things';
const door = { format: wireFormat };

async function openOurs() {
  const clock = new VirtualClock();
  const disk = new MemoryDisk({ clock: systemClock, syncMs: 0 });
  const tables = [
    { tableName: TableName, partitionKey: { name: 'PK', type: 'S' }, sortKey: { name: 'SK', type: 'S' } },
  ] as const;
  const engine = await openEngine({ store: disk.open(), clock, tables });
  const call = async (name: OperationName, input: object): Promise<Body> =>
    (await callOperation(engine, name, structuredClone({ TableName, ...input }), door, legacyParameters)) as Body; // a cast: answers are objects
  return { call, close: () => engine.close() };
}

async function openTheirs(): Promise<DynaliteClient> {
  const dynalite = await openDynalite();
  await dynalite.send('CreateTable', {
    TableName,
    AttributeDefinitions: [
      { AttributeName: 'PK', AttributeType: 'S' },
      { AttributeName: 'SK', AttributeType: 'S' },
    ],
    KeySchema: [
      { AttributeName: 'PK', KeyType: 'HASH' },
      { AttributeName: 'SK', KeyType: 'RANGE' },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  });
  for (;;) {
    const { body } = await dynalite.send('DescribeTable', { TableName });
    if ((body.Table as Body).TableStatus === 'ACTIVE') return dynalite; // a cast: dynalite's answer
  }
}

/** What came of a call, so that two can be compared: the answer, or the refusal without the envelope of newer wording. */
async function outcome(call: () => Promise<Body>): Promise<unknown> {
  try {
    return sorted(await call());
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return [error.name, error.message.replace('1 validation error detected: ', '')];
  }
}

async function theirOutcome(dynalite: DynaliteClient, operation: string, input: object): Promise<unknown> {
  const { status, body } = await dynalite.send(operation, { TableName, ...input });
  if (status !== 200) return [errorName(body), errorMessage(body)];
  const { Attributes, ...others } = body;
  return sorted(Object.keys(Attributes ?? {}).length === 0 ? others : body); // the service leaves out what is empty
}

/** Sets have no order, and neither have the names in a map. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, held]) => {
    const isSet = /^(SS|NS|BS)$/.test(name) && Array.isArray(held);
    return [name, isSet ? held.toSorted() : sorted(held)] as const;
  });
  return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1)));
}

const number = fc.constantFrom('0', '1', '-2.5', '10', '12345678901234567890');
const word = fc.constantFrom('a', 'b', 'ab', 'abc');
const text = fc.record({ S: word });
const numeric = fc.record({ N: number });
const binary = fc.record({ B: fc.constantFrom('AAE=', 'AA==', 'AQ==') });
const textSet = fc.record({ SS: fc.uniqueArray(word, { minLength: 1 }) });
const numberSet = fc.record({ NS: fc.uniqueArray(number, { minLength: 1 }) });
const list = fc.record({ L: fc.array(text, { minLength: 1, maxLength: 2 }) });
const value = fc.oneof(text, numeric, binary, textSet, numberSet, list, fc.record({ BOOL: fc.boolean() }));
const attribute = fc.constantFrom('x', 'y', 'size', 'a.b');
const attributes = fc.dictionary(attribute, value, { maxKeys: 3, noNullPrototype: true });

const compares = (operators: readonly string[], ...values: fc.Arbitrary<object>[]) =>
  fc.record({ ComparisonOperator: fc.constantFrom(...operators), AttributeValueList: fc.tuple(fc.oneof(...values)) });
// Lists and flags can be compared as well, which dynalite does not know.
const condition = fc.oneof(
  compares(['EQ', 'NE'], text, numeric, binary, textSet, numberSet),
  compares(['LE', 'LT', 'GE', 'GT', 'CONTAINS', 'NOT_CONTAINS'], text, numeric, binary),
  compares(['BEGINS_WITH'], text, binary),
  fc.record({ ComparisonOperator: fc.constantFrom('NULL', 'NOT_NULL') }),
  fc.record({
    ComparisonOperator: fc.constant('IN'),
    AttributeValueList: fc.array(fc.record({ S: word }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    ComparisonOperator: fc.constant('BETWEEN'),
    AttributeValueList: fc.tuple(fc.record({ N: number }), fc.record({ N: number })),
  }),
);
const conditions = fc.dictionary(attribute, condition, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
const update = fc.oneof(
  fc.record({ Value: value }),
  fc.record({ Action: fc.constantFrom('PUT', 'ADD', 'DELETE'), Value: value }),
  fc.record({ Action: fc.constant('DELETE') }),
);
const updates = fc.dictionary(attribute, update, { maxKeys: 3, noNullPrototype: true });
const returns = fc.constantFrom('NONE', 'ALL_OLD', 'ALL_NEW', 'UPDATED_OLD', 'UPDATED_NEW');

const Key = { PK: { S: 'p' }, SK: { S: 's' } };

describe('parameters from before expressions, on the engine', () => {
  it('find, change and refuse as an independent implementation does', async t => {
    const ours = await openOurs();
    const theirs = await openTheirs();
    t.after(() => Promise.all([ours.close(), theirs.close()]));
    const same = async (name: OperationName, input: object) =>
      assert.deepEqual(await outcome(() => ours.call(name, input)), await theirOutcome(theirs, name, input));
    let updated = 0;
    await fc.assert(
      fc.asyncProperty(attributes, conditions, updates, returns, async (stored, filter, changes, ReturnValues) => {
        await same('PutItem', { Item: { ...stored, ...Key } });
        await same('Scan', { ScanFilter: filter, AttributesToGet: ['PK', 'x', 'a.b'] });
        await same('Query', {
          KeyConditions: { PK: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'p' }] } },
          QueryFilter: filter,
        });
        await same('UpdateItem', { Key, AttributeUpdates: changes, Expected: filter, ReturnValues });
        await same('UpdateItem', { Key, AttributeUpdates: changes, ReturnValues });
        await same('GetItem', { Key, ConsistentRead: true });
        updated++;
      }),
      { numRuns: 150, seed: 20_260_101 },
    );
    assert.equal(updated, 150);
  });

  it('take a condition with OR when any holds, and Exists with Value as equality', async t => {
    const { call, close } = await openOurs();
    t.after(close);
    await call('PutItem', { Item: { ...Key, x: { N: '1' } } });
    const isOne = { x: { Value: { N: '1.0' } } };
    const isAbsent = { y: { Exists: true, Value: { S: 'a' } } };
    const failed = { name: 'ConditionalCheckFailedException' };
    await assert.rejects(call('DeleteItem', { Key, Expected: { ...isAbsent, ...isOne } }), failed);
    await assert.rejects(call('DeleteItem', { Key, Expected: { x: { Exists: true, Value: { N: '2' } } } }), failed);
    await call('PutItem', {
      Item: { ...Key, x: { N: '1' } },
      Expected: { ...isAbsent, ...isOne },
      ConditionalOperator: 'OR',
    });
    const filter = (ConditionalOperator: string) => ({
      ScanFilter: {
        x: { ComparisonOperator: 'GT', AttributeValueList: [{ N: '5' }] },
        y: { ComparisonOperator: 'NULL' },
      },
      ConditionalOperator,
    });
    assert.equal((await call('Scan', filter('OR'))).Count, 1);
    assert.equal((await call('Scan', filter('AND'))).Count, 0);
  });

  it('hold more than an expression may, up to a bound', async () => {
    const { call, close } = await openOurs();
    const Key = { PK: { S: 'p' }, SK: { S: 's' } };
    const value = { S: 'x' };
    const attributes = (count: number, of: object) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, of]));
    const isOneOf = (count: number) => ({
      ScanFilter: {
        a399: { ComparisonOperator: 'IN', AttributeValueList: [...Array(count - 1).fill({ S: 'y' }), value] },
      },
    });
    await call('UpdateItem', { Key, AttributeUpdates: attributes(400, { Value: value }) });
    assert.equal((await call('Scan', isOneOf(27_500))).Count, 1);
    assert.equal((await call('Scan', isOneOf(101))).Count, 1);
    const NE = { ComparisonOperator: 'NE', AttributeValueList: [{ S: 'y' }] };
    assert.equal((await call('Scan', { ScanFilter: attributes(310, NE) })).Count, 1);
    await call('PutItem', { Item: Key, Expected: attributes(400, { Value: value }) });
    await call('DeleteItem', { Key, Expected: attributes(400, { Exists: false }) });
    await assert.rejects(call('Scan', isOneOf(100_000)), /Expression size has exceeded the maximum allowed size/);
    const sent = Object.keys(attributes(101, {})).map(name => `:${name}`);
    const filter = {
      FilterExpression: `a IN (${sent.join(', ')})`,
      ExpressionAttributeValues: Object.fromEntries(sent.map(alias => [alias, value])),
    };
    await assert.rejects(call('Scan', filter), /too many operands; number of operands: 101/);
    await close();
  });

  it('refuse keys where only other attributes may stand', async t => {
    const { call, close } = await openOurs();
    t.after(close);
    const isP = { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'p' }] };
    const refused = (name: OperationName, input: object, message: string) =>
      assert.rejects(call(name, input), { name: 'ValidationException', message });
    await refused(
      'Query',
      { KeyConditions: { PK: isP }, QueryFilter: { PK: isP } },
      'QueryFilter can only contain non-primary key attributes: Primary key attribute: PK',
    );
    await refused('Query', { KeyConditions: { SK: isP } }, 'Query condition missed key schema element: PK');
    await refused(
      'Query',
      { KeyConditions: { PK: { ...isP, ComparisonOperator: 'GT' } } },
      'Query key condition not supported',
    );
    await refused(
      'UpdateItem',
      { Key, AttributeUpdates: { PK: { Value: { S: 'x' } } } },
      'One or more parameter values were invalid: Cannot update attribute PK. This attribute is part of the key',
    );
    await call('PutItem', { Item: { ...Key, x: { S: 'a' } } });
    await refused(
      'UpdateItem',
      { Key, AttributeUpdates: { x: { Action: 'ADD', Value: { N: '1' } } } },
      'Type mismatch for attribute to update',
    );
  });
});
