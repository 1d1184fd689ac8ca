import type { TagResourceCommandInput, TagResourceCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import { checkTags, taggedTable, tagsFrom } from './tags.ts';

export async function tagResource(
  engine: Engine,
  { ResourceArn = '', Tags }: TagResourceCommandInput,
): Promise<Answer<TagResourceCommandOutput>> {
  await engine.catalog.change(change => {
    const stored = taggedTable(engine, ResourceArn, true);
    const tags = { ...stored.tags, ...tagsFrom(Tags) };
    checkTags(tags);
    change.put({ ...stored, tags });
  });
  return {};
}
