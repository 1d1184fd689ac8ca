/** Global indexes that UpdateTable adds and removes: one at a time, as in DynamoDB. */
import type {
  AttributeDefinition,
  CreateGlobalSecondaryIndexAction,
  UpdateTableCommandInput,
} from '@aws-sdk/client-dynamodb';
import { invalid, limitExceeded, resourceNotFound } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { freeIndexId } from '../storage/declare.ts';
import { keyAttributes } from '../storage/layout.ts';
import { definedAttributes, type StoredIndex, type StoredTable } from '../storage/stored-table.ts';
import { checkKeyOrder } from '../validate.ts';
import { checkProjectedNames, globalIndexFrom, notValid, undefinedKeys } from './schema.ts';

export function updateIndexes(before: StoredTable, input: UpdateTableCommandInput): StoredTable {
  const { GlobalSecondaryIndexUpdates: updates = [], AttributeDefinitions: definitions = [] } = input;
  checkDefinitions(before, definitions);
  const changes = updates.filter(({ Create, Delete }) => Create !== undefined || Delete !== undefined);
  if (changes.length === 0) return before;
  const isBusy = before.indexes.some(({ kind, status }) => kind === 'global' && status !== 'ready');
  if (changes.length > 1 || isBusy) {
    throw limitExceeded(
      'Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table',
    );
  }
  const [{ Create, Delete }] = changes;
  if (Create !== undefined) return withIndex(before, Create, definitions);
  return withoutIndex(before, Delete?.IndexName ?? '');
}

/** Definitions may be given again, but not changed. */
function checkDefinitions(before: StoredTable, definitions: readonly AttributeDefinition[]): void {
  for (const { AttributeName, AttributeType } of definitions) {
    const known = definedAttributes(before).find(({ name }) => name === AttributeName);
    if (known === undefined || known.type === AttributeType) continue;
    throw invalid(
      `${notValid}Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. ` +
        `Existing schema: Schema:[SchemaElement: key{${known.name}:${known.type}:${roleOf(before, known.name)}}] ` +
        `New schema: Schema:[SchemaElement: key{${known.name}:${AttributeType}:${roleOf(before, known.name)}}]`,
    );
  }
}

function roleOf({ keys, indexes }: StoredTable, name: string): 'HASH' | 'RANGE' {
  const isHash = [keys, ...indexes.map(index => index.keys)].some(each => {
    return each.partitionKeys.some(key => key.name === name);
  });
  return isHash ? 'HASH' : 'RANGE';
}

function withIndex(
  before: StoredTable,
  create: CreateGlobalSecondaryIndexAction,
  given: readonly AttributeDefinition[],
): StoredTable {
  const { IndexName = '', KeySchema = [] } = create;
  if (before.indexes.some(({ kind, indexName }) => kind !== 'expiry' && indexName === IndexName)) {
    throw invalid(`${notValid}Attempting to create an index which already exists`);
  }
  const shown = before.indexes.filter(({ kind }) => kind === 'global');
  if (shown.length >= tableLimits.indexesMax) {
    throw invalid(`${notValid}GlobalSecondaryIndex count exceeds the per-table limit of ${tableLimits.indexesMax}`);
  }
  const definitions = allDefinitions(before, given);
  const defined = definitions.map(({ AttributeName = '' }) => AttributeName);
  const keyNames = KeySchema.map(({ AttributeName = '' }) => AttributeName);
  if (!keyNames.every(name => defined.includes(name))) throw undefinedKeys(keyNames, defined);
  checkKeyOrder(KeySchema, tableLimits.indexKeyAttributesMax);
  const index = globalIndexFrom({ ...create, IndexName, KeySchema }, definitions, before.settings.billingMode);
  checkAllUsed(before, index, given);
  checkProjectedNames([...before.indexes, index].map(({ projection }) => projection));
  const added: StoredIndex = { ...index, id: freeIndexId(before.indexes), status: 'building' };
  return {
    ...before,
    attributeOrder: [...(before.attributeOrder ?? []), ...keyNames],
    indexes: [...before.indexes, added],
  };
}

function allDefinitions(before: StoredTable, given: readonly AttributeDefinition[]): AttributeDefinition[] {
  const known = definedAttributes(before).map(({ name, type }) => ({ AttributeName: name, AttributeType: type }));
  return [...known, ...given.filter(({ AttributeName }) => !known.some(each => each.AttributeName === AttributeName))];
}

function checkAllUsed(
  before: StoredTable,
  { keys }: Pick<StoredIndex, 'keys'>,
  given: readonly AttributeDefinition[],
): void {
  const used = new Set([...definedAttributes(before), ...keyAttributes(keys)].map(({ name }) => name));
  if (given.every(({ AttributeName = '' }) => used.has(AttributeName))) return;
  const names = given.map(({ AttributeName }) => AttributeName).join(', ');
  throw invalid(
    `${notValid}Some AttributeDefinitions are not used. AttributeDefinitions: [${names}], keys used: [${[...used].join(', ')}]`,
  );
}

function withoutIndex(before: StoredTable, indexName: string): StoredTable {
  const isIt = (index: StoredIndex) => index.kind === 'global' && index.indexName === indexName;
  if (!before.indexes.some(isIt)) throw resourceNotFound('Requested resource not found');
  return {
    ...before,
    indexes: before.indexes.map(index => (isIt(index) ? { ...index, status: 'dropping' as const } : index)),
  };
}
