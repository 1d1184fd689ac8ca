// Carries an operation out on an engine, and says what came of it in the model's terms.
import type { Condition } from './expressions.ts';
import type { Operation, SortRange, Write } from './generate.ts';
import type { Outcome } from './model.ts';
import { Printer } from './print.ts';
import { canonicalItem, type WireItem } from './values.ts';

/** Any of DynamoDB's calls, in its wire form. Throws what carries DynamoDB's `name`. */
export type Call = (name: string, input: Record<string, unknown>) => Promise<Record<string, unknown>>;

export const modelTable = 'model';
export const modelIndex = 'byOwner';
const TableName = modelTable;

export async function drive(call: Call, operation: Operation): Promise<Outcome> {
  try {
    return await driveOne(call, operation);
  } catch (error) {
    if (!(error instanceof Error) || error.name === 'Error') throw error;
    const reasons = 'CancellationReasons' in error ? (error.CancellationReasons as { Code: string }[]) : undefined; // DynamoDB's
    return { error: error.name, ...(reasons === undefined ? {} : { reasons: reasons.map(({ Code }) => Code) }) };
  }
}

function driveOne(call: Call, operation: Operation): Promise<Outcome> {
  switch (operation.kind) {
    case 'put':
    case 'delete':
    case 'update':
      return driveWrite(call, operation);
    case 'get':
      return driveGet(call, operation);
    case 'query':
      return driveQuery(call, operation);
    case 'queryIndex':
      return driveQueryIndex(call, operation);
    case 'scan':
      return driveScan(call, operation);
    case 'batchGet':
      return driveBatchGet(call, operation);
    case 'batchWrite':
      return driveBatchWrite(call, operation);
    case 'transactGet':
      return driveTransactGet(call, operation);
    case 'transactWrite':
      return driveTransactWrite(call, operation);
  }
}

const callNames = { put: 'PutItem', delete: 'DeleteItem', update: 'UpdateItem' } as const;

async function driveWrite(call: Call, write: Write & { returns: number }): Promise<Outcome> {
  const asked = write.kind === 'update' && write.returns === 1 ? 'ALL_NEW' : write.returns === 2 ? 'ALL_OLD' : 'NONE';
  const input = { ...writeInput(write), ReturnValues: asked };
  const { Attributes } = (await call(callNames[write.kind], input)) as { Attributes?: WireItem };
  const text = Attributes && canonicalItem(Attributes);
  if (asked === 'NONE') return {};
  return asked === 'ALL_NEW' ? { next: text } : { old: text };
}

function writeInput(write: Write): Record<string, unknown> {
  const printer = new Printer();
  const condition = write.condition && { ConditionExpression: printer.condition(write.condition) };
  const update = write.kind === 'update' ? { UpdateExpression: printer.update(write.update) } : {};
  const target = write.kind === 'put' ? { Item: write.item } : { Key: write.key };
  return { TableName, ...target, ...update, ...condition, ...printer.aliases() };
}

async function driveGet(call: Call, { key, projection }: Extract<Operation, { kind: 'get' }>): Promise<Outcome> {
  const printer = new Printer();
  const projected = projection && { ProjectionExpression: projection.map(path => printer.path(path)).join(', ') };
  const { Item } = await call('GetItem', { TableName, Key: key, ...projected, ...printer.aliases() });
  return { item: Item === undefined ? undefined : canonicalItem(Item as WireItem) };
}

function filterInput(printer: Printer, filter: Condition | undefined): Record<string, unknown> {
  return filter === undefined ? {} : { FilterExpression: printer.condition(filter) };
}

/** Page after page. */
async function everyItem(call: Call, name: string, input: Record<string, unknown>): Promise<string[]> {
  const items: string[] = [];
  let start: unknown;
  do {
    const page = await call(name, { ...input, ...(start === undefined ? {} : { ExclusiveStartKey: start }) });
    items.push(...(page.Items as WireItem[]).map(canonicalItem));
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
  return items;
}

async function driveQuery(call: Call, operation: Extract<Operation, { kind: 'query' }>): Promise<Outcome> {
  const printer = new Printer();
  const partition = `${printer.path(['PK'])} = ${printer.value({ S: operation.partition })}`;
  const range = operation.range === undefined ? '' : ` AND ${rangeText(printer, operation.range)}`;
  const input = {
    TableName,
    KeyConditionExpression: partition + range,
    ...filterInput(printer, operation.filter),
    ...printer.aliases(),
    Limit: operation.limit,
    ScanIndexForward: !operation.backwards,
  };
  return { items: await everyItem(call, 'Query', input) };
}

function rangeText(printer: Printer, range: SortRange): string {
  const name = printer.path(['SK']);
  if (range.kind !== 'between') return `${name} ${range.kind} ${printer.value(range.value)}`;
  return `${name} BETWEEN ${printer.value(range.lower)} AND ${printer.value(range.upper)}`;
}

async function driveQueryIndex(call: Call, operation: Extract<Operation, { kind: 'queryIndex' }>): Promise<Outcome> {
  const printer = new Printer();
  const input = {
    TableName,
    IndexName: modelIndex,
    KeyConditionExpression: `${printer.path(['Owner'])} = ${printer.value({ S: operation.owner })}`,
    ...filterInput(printer, operation.filter),
    ...printer.aliases(),
    Limit: operation.limit,
    ScanIndexForward: !operation.backwards,
  };
  const items = await everyItem(call, 'Query', input);
  return { items: withTiesSorted(items) };
}

const rankOf = (text: string) => /"Rank":N:(\d+)/.exec(text)?.[1];

/** Items of one rank come in no particular order. */
function withTiesSorted(items: readonly string[]): string[] {
  const sorted: string[] = [];
  for (let start = 0; start < items.length; ) {
    let end = start + 1;
    while (end < items.length && rankOf(items[end]) === rankOf(items[start])) end++;
    sorted.push(...items.slice(start, end).sort());
    start = end;
  }
  return sorted;
}

async function driveScan(
  call: Call,
  { filter, limit, segments }: Extract<Operation, { kind: 'scan' }>,
): Promise<Outcome> {
  const printer = new Printer();
  const input = { TableName, ...filterInput(printer, filter), ...printer.aliases(), Limit: limit };
  const items: string[] = [];
  for (let Segment = 0; Segment < segments; Segment++) {
    items.push(...(await everyItem(call, 'Scan', { ...input, Segment, TotalSegments: segments })));
  }
  return { items: items.sort() };
}

async function driveBatchGet(call: Call, { keys }: Extract<Operation, { kind: 'batchGet' }>): Promise<Outcome> {
  const { Responses } = await call('BatchGetItem', { RequestItems: { [TableName]: { Keys: keys } } });
  return { items: (Responses as Record<string, WireItem[]>)[TableName].map(canonicalItem).sort() };
}

async function driveBatchWrite(call: Call, { writes }: Extract<Operation, { kind: 'batchWrite' }>): Promise<Outcome> {
  const requests = writes.map(write =>
    'item' in write ? { PutRequest: { Item: write.item } } : { DeleteRequest: { Key: write.key } },
  );
  await call('BatchWriteItem', { RequestItems: { [TableName]: requests } });
  return {};
}

async function driveTransactGet(call: Call, { keys }: Extract<Operation, { kind: 'transactGet' }>): Promise<Outcome> {
  const { Responses } = await call('TransactGetItems', {
    TransactItems: keys.map(Key => ({ Get: { TableName, Key } })),
  });
  const found = Responses as { Item?: WireItem }[]; // the call's answer
  return { items: found.map(({ Item }) => (Item === undefined ? 'none' : canonicalItem(Item))) };
}

const actionNames = { put: 'Put', delete: 'Delete', update: 'Update', check: 'ConditionCheck' } as const;

async function driveTransactWrite(
  call: Call,
  { actions }: Extract<Operation, { kind: 'transactWrite' }>,
): Promise<Outcome> {
  const TransactItems = actions.map(action => {
    if (action.kind !== 'check') return { [actionNames[action.kind]]: writeInput(action) };
    const printer = new Printer();
    const ConditionExpression = printer.condition(action.condition);
    return { ConditionCheck: { TableName, Key: action.key, ConditionExpression, ...printer.aliases() } };
  });
  await call('TransactWriteItems', { TransactItems });
  return {};
}

/** Whether the engine did what the model says; what an operation did not ask for is not compared. */
export function agrees(expected: Outcome, found: Outcome): boolean {
  if ('old' in found && 'old' in expected) return found.old === expected.old;
  if ('next' in found && 'next' in expected) return found.next === expected.next;
  if (Object.keys(found).length === 0) return !('error' in expected);
  return JSON.stringify(expected) === JSON.stringify(found);
}
