/** AttributeUpdates: one action for each attribute, as an update expression. */
import { checkValue, requestRefusal, type Wording } from '../../../platform/table/index.ts';
import { isGiven, notValid, type WireValue } from './conditions.ts';
import type { FreshAliases } from './fresh-aliases.ts';

export interface AttributeUpdate {
  readonly Action?: string;
  readonly Value?: WireValue;
}

const sets = ['SS', 'NS', 'BS'];

/** @returns undefined if nothing is to be changed */
export function translateUpdates(
  updates: Readonly<Record<string, AttributeUpdate | null>>,
  aliases: FreshAliases,
  wording: Wording,
): string | undefined {
  const entries = Object.entries(updates).filter(isGiven);
  for (const [, update] of entries) checkUpdate(update, wording);
  const clauses: Record<'SET' | 'REMOVE' | 'ADD' | 'DELETE', string[]> = { SET: [], REMOVE: [], ADD: [], DELETE: [] };
  for (const [attribute, { Action = 'PUT', Value: value }] of entries) {
    const name = aliases.name(attribute);
    if (value === undefined) clauses.REMOVE.push(name);
    else if (Action === 'PUT') clauses.SET.push(`${name}=${aliases.value(value)}`);
    else if (Action === 'DELETE') clauses.DELETE.push(`${name} ${aliases.value(value)}`);
    else if (value.L === undefined) clauses.ADD.push(`${name} ${aliases.value(value)}`);
    // To add to a list is to append to it, which the ADD of expressions does not know.
    else
      clauses.SET.push(
        `${name}=list_append(if_not_exists(${name},${aliases.value({ L: [] })}),${aliases.value(value)})`,
      );
  }
  const texts = Object.entries(clauses).filter(([, actions]) => actions.length > 0);
  return texts.length === 0 ? undefined : texts.map(([word, actions]) => `${word} ${actions.join(',')}`).join(' ');
}

function checkUpdate({ Action = 'PUT', Value: value }: AttributeUpdate, wording: Wording): void {
  const fail = (message: string) => requestRefusal(`${notValid}${message}`, wording);
  if (value === undefined) {
    if (Action === 'DELETE') return;
    throw fail('Only DELETE action is allowed when no attribute value is specified');
  }
  checkValue(value, wording);
  const [type] = Object.keys(value);
  if (Action === 'DELETE' && !sets.includes(type)) {
    throw fail(`DELETE action with value is not supported for the type ${type}`);
  }
  if (Action === 'ADD' && type !== 'L' && type !== 'N' && !sets.includes(type)) {
    throw fail(`ADD action is not supported for the type ${type}`);
  }
}
