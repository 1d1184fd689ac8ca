/** Tags of tables: kept and told, nothing else. */
import type { Tag } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import { invalid, limitExceeded, resourceNotFound } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { nameFrom } from '../storage/catalog.ts';
import type { StoredTable } from '../storage/stored-table.ts';

export function tagsFrom(tags: readonly Tag[] = []): Record<string, string> {
  return Object.fromEntries(tags.map(({ Key = '', Value = '' }) => [Key, Value]));
}

export function checkTags(tags: Readonly<Record<string, string>>): void {
  if (Object.keys(tags).length > tableLimits.tagsMax) {
    throw limitExceeded(`Too many tags: at most ${tableLimits.tagsMax} are allowed for a resource`);
  }
  for (const [key, value] of Object.entries(tags)) {
    const isFit = key.length > 0 && key.length <= keyCharactersMax && value.length <= valueCharactersMax;
    if (!isFit)
      throw invalid(
        'One or more parameter values were invalid: A tag key has 1 to 128 characters, its value up to 256',
      );
  }
}

const keyCharactersMax = 128; // DynamoDB Tag
const valueCharactersMax = 256; // DynamoDB Tag

/** The table an ARN names. Each call words its refusal otherwise. */
export function taggedTable({ catalog }: Pick<Engine, 'catalog'>, arn: string, tellsArn: boolean): StoredTable {
  const stored = catalog.find(nameFrom(arn));
  if (stored !== undefined) return stored;
  throw resourceNotFound(
    tellsArn ? `Requested resource not found: ResourcArn: ${arn} not found` : 'Requested resource not found',
  );
}
