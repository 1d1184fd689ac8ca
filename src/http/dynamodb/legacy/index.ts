/**
 * Parameters from before DynamoDB had expressions, as expressions. The engine knows only these; the old ones are read
 * at the endpoint and nowhere else. A request that has both kinds was refused when it was checked.
 */
import {
  type CheckedRequest,
  type LegacyCheck,
  noteTranslation,
  type OperationName,
  rewordedRefusal,
  type TableError,
  type Wording,
  wordingOf,
} from '../../../platform/table/index.ts';
import {
  checkConditions,
  checkKeyConditions,
  type KeyConditions as KeyConditionsTranslation,
  type LegacyConditions,
  translateConditions,
  translateKeyConditions,
} from './conditions.ts';
import { type ExpectedAttribute, translateExpected } from './expected.ts';
import { FreshAliases } from './fresh-aliases.ts';
import { type AttributeUpdate, translateUpdates } from './updates.ts';

const legacyNames = [
  'AttributesToGet',
  'Expected',
  'ConditionalOperator',
  'AttributeUpdates',
  'KeyConditions',
  'QueryFilter',
  'ScanFilter',
] as const;

/**
 * @param request  as `checkRequest` gave it
 * @returns the request with expressions in place of what was there; the same object if nothing was
 * Throws `table.invalid` for legacy parameters that make no sense, but for those that `checkLegacy` has seen.
 */
export function translateLegacy(name: OperationName, request: CheckedRequest): CheckedRequest {
  const wording = wordingOf(name);
  if (name === 'BatchGetItem') return translateBatchGet(request, wording);
  return legacyNames.some(each => request[each] !== undefined) ? translate(request, wording) : request;
}

function translate(request: CheckedRequest, wording: Wording): CheckedRequest {
  const aliases = new FreshAliases(request.ExpressionAttributeNames, request.ExpressionAttributeValues);
  const { AttributesToGet, Expected, ConditionalOperator, AttributeUpdates, KeyConditions, ...others } = request;
  const { QueryFilter, ScanFilter, ...kept } = others;
  const expressions: Record<string, string | undefined> = {};
  let keyConditions: KeyConditionsTranslation | undefined;
  // Casts in this function: the types of the request were checked.
  if (AttributeUpdates !== undefined) {
    const updates = AttributeUpdates as Readonly<Record<string, AttributeUpdate | null>>;
    expressions.UpdateExpression = translateUpdates(updates, aliases, wording);
  }
  if (Expected !== undefined) {
    const expected = Expected as Readonly<Record<string, ExpectedAttribute | null>>;
    expressions.ConditionExpression = translateExpected(expected, ConditionalOperator, aliases, wording);
  }
  const filter = (QueryFilter ?? ScanFilter) as LegacyConditions | undefined;
  if (filter !== undefined) {
    expressions.FilterExpression = translateConditions(filter, ConditionalOperator, aliases);
  }
  if (KeyConditions !== undefined) {
    keyConditions = translateKeyConditions(KeyConditions as LegacyConditions, aliases);
    expressions.KeyConditionExpression = keyConditions.expression;
  }
  if (AttributesToGet !== undefined) {
    expressions.ProjectionExpression = projectionOf(AttributesToGet as readonly string[], aliases);
  }
  const given = Object.entries(expressions).filter(([, expression]) => expression !== undefined);
  const translated = { ...kept, ...Object.fromEntries(given), ...aliases.parameters() };
  return noteTranslation(translated, {
    ...(AttributeUpdates !== undefined && { isMeasuredByResult: true }),
    notIndexable: keyConditions?.notIndexable,
  });
}

/** Names of attributes, whatever is in them: a dot is no path here. */
function projectionOf(names: readonly string[], aliases: FreshAliases): string {
  return names.map(name => aliases.name(name)).join(',');
}

function translateBatchGet(request: CheckedRequest, wording: Wording): CheckedRequest {
  const tables = Object.entries(request.RequestItems as Record<string, CheckedRequest>); // a cast: types were checked
  if (tables.every(([, { AttributesToGet }]) => AttributesToGet === undefined)) return request;
  const translated = tables.map(([table, each]) => [
    table,
    each.AttributesToGet === undefined ? each : translate(each, wording),
  ]);
  return { ...request, RequestItems: Object.fromEntries(translated) };
}

/** What the engine says of expressions that were never sent, in the words for what was sent. */
export function rewordLegacy(request: CheckedRequest, error: TableError): TableError {
  const { message } = error;
  if (request.QueryFilter !== undefined && message.startsWith('Filter Expression can only contain')) {
    return rewordedRefusal(error, message.replace('Filter Expression', 'QueryFilter'));
  }
  if (
    request.AttributeUpdates !== undefined &&
    message === 'An operand in the update expression has an incorrect data type'
  ) {
    return rewordedRefusal(error, 'Type mismatch for attribute to update');
  }
  return error;
}

/** Throws what is wrong with the conditions of one parameter. */
export const checkLegacy: LegacyCheck = (parameter, request, wording) => {
  const conditions = request[parameter] as LegacyConditions | undefined; // a cast: types were checked
  if (conditions === undefined) return;
  if (parameter === 'KeyConditions') checkKeyConditions(conditions, wording);
  else checkConditions(conditions, wording);
};

/** For `callOperation`: how the endpoint has the old parameters. */
export const legacyParameters = { checkLegacy, translate: translateLegacy, reword: rewordLegacy };
