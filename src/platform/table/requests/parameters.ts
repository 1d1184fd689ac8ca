/** Which parameters may stand together, and how the aliases of expressions must look. */
import { tableLimits } from '../limits.ts';
import { isPlainObject } from '../values/value.ts';
import type { CheckContext, Request } from './shapes.ts';
import { failureOf, refusal } from './values.ts';

export interface ExpressionParameters {
  /** In the order DynamoDB names them. */
  readonly expressions: readonly string[];
  readonly legacy: readonly string[];
}

export function checkExpressionParameters(
  request: Request,
  { expressions, legacy }: ExpressionParameters,
  { wording }: CheckContext,
): void {
  const used = expressions.filter(name => request[name] !== undefined);
  if (used.length > 0) {
    const mixed = legacy.filter(name => request[name] !== undefined && !isKeyConditionsBesideOthers(name, request));
    if (mixed.length > 0) {
      throw refusal(
        'Can not use both expression and non-expression parameters in the same request: ' +
          `Non-expression parameters: {${mixed.join(', ')}} Expression parameters: {${used.join(', ')}}`,
        wording,
      );
    }
  }
  if (request.ExpressionAttributeNames !== undefined && used.length === 0) {
    throw refusal('ExpressionAttributeNames can only be specified when using expressions', wording);
  }
  if (request.ExpressionAttributeValues === undefined) return;
  const withValues = expressions.filter(name => name !== 'ProjectionExpression');
  if (withValues.length === 0 || withValues.some(name => used.includes(name))) return;
  const absent =
    wording === 'enveloped' ? '' : `: ${withValues.join(' and ')} ${withValues.length > 1 ? 'are' : 'is'} null`;
  throw refusal(`ExpressionAttributeValues can only be specified when using expressions${absent}`, wording);
}

/** Key conditions of the old kind go with filters and projections of the new, but not with a key condition expression. */
function isKeyConditionsBesideOthers(name: string, request: Request): boolean {
  return name === 'KeyConditions' && request.KeyConditionExpression === undefined;
}

/** ConditionalOperator joins conditions, so there must be two. */
export function checkConditionalOperator(request: Request, joined: string, { wording }: CheckContext): void {
  if (request.ConditionalOperator === undefined) return;
  const conditions = Object.keys(request[joined] ?? {}).length;
  if (conditions === 0) throw refusal('ConditionalOperator cannot be used without Filter or Expected', wording);
  if (conditions === 1) {
    throw refusal('ConditionalOperator can only be used when Filter or Expected has two or more elements', wording);
  }
}

/** The aliases themselves; whether they are used and defined is known when the expressions are read. */
export function checkAliases(request: Request, { wording, isWire }: CheckContext): void {
  checkAliasKeys('ExpressionAttributeNames', request.ExpressionAttributeNames, /^#[0-9a-zA-Z_]+$/, wording);
  checkNames(request.ExpressionAttributeNames, wording);
  checkAliasKeys('ExpressionAttributeValues', request.ExpressionAttributeValues, /^:[0-9a-zA-Z_]+$/, wording);
  if (isWire) checkAliasValues(request.ExpressionAttributeValues, wording);
}

function checkAliasKeys(parameter: string, aliases: unknown, pattern: RegExp, wording: CheckContext['wording']): void {
  if (aliases === undefined) return;
  if (!isPlainObject(aliases)) throw refusal(`${parameter} must be a plain object`, wording);
  const keys = Object.keys(aliases);
  if (keys.length === 0) throw refusal(`${parameter} must not be empty`, wording);
  for (const key of keys) {
    if (!pattern.test(key)) throw refusal(`${parameter} contains invalid key: Syntax error; key: "${key}"`, wording);
  }
}

function checkNames(names: unknown, wording: CheckContext['wording']): void {
  if (names === undefined) return;
  for (const [alias, name] of Object.entries(names as object)) {
    // a cast: types were checked
    if (typeof name === 'string' && name !== '' && name.length <= tableLimits.attributeNameBytesMax) continue;
    const shown = typeof name === 'string' ? name : 'null';
    throw refusal(`ExpressionAttributeNames contains invalid value: ${shown} for key ${alias}`, wording);
  }
}

/** Only the older layer says which alias it was. */
function checkAliasValues(values: unknown, wording: CheckContext['wording']): void {
  if (values === undefined) return;
  for (const [alias, value] of Object.entries(values as object)) {
    // a cast: types were checked
    const failure = failureOf(value, 1, wording);
    if (failure === undefined) continue;
    const message =
      wording === 'older' ? `ExpressionAttributeValues contains invalid value: ${failure} for key ${alias}` : failure;
    throw refusal(message, wording);
  }
}

/** AttributesToGet, which names attributes and not paths. */
export function checkNoDuplicates(names: unknown, { wording }: CheckContext): void {
  if (!Array.isArray(names)) return;
  const seen = new Set<unknown>();
  for (const name of names) {
    if (seen.has(name)) {
      throw refusal(`One or more parameter values were invalid: Duplicate value in attribute name: ${name}`, wording);
    }
    seen.add(name);
  }
}
