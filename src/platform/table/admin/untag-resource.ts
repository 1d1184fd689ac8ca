import type { UntagResourceCommandInput, UntagResourceCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import { taggedTable } from './tags.ts';

export async function untagResource(
  engine: Engine,
  { ResourceArn = '', TagKeys = [] }: UntagResourceCommandInput,
): Promise<Answer<UntagResourceCommandOutput>> {
  await engine.catalog.change(change => {
    const stored = taggedTable(engine, ResourceArn, false);
    const tags = Object.entries(stored.tags).filter(([key]) => !TagKeys.includes(key));
    change.put({ ...stored, tags: Object.fromEntries(tags) });
  });
  return {};
}
