import type { ListTagsOfResourceCommandInput, ListTagsOfResourceCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import { taggedTable } from './tags.ts';

export async function listTagsOfResource(
  engine: Engine,
  { ResourceArn = '' }: ListTagsOfResourceCommandInput,
): Promise<Answer<ListTagsOfResourceCommandOutput>> {
  const { tags } = taggedTable(engine, ResourceArn, true);
  return { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) };
}
