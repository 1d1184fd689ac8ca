/** Tags of streams, by name or by ARN. */
import { catalogLimits } from '../../../platform/stream/index.ts';
import { accountId, streamNameIn } from '../arn.ts';
import { type Context, type StreamNamed, streamOf } from '../context.ts';
import { invalidArgument } from '../refusals.ts';

type Tags = Readonly<Record<string, string>>;

export async function addTagsToStream(
  context: Context,
  input: StreamNamed & { readonly Tags: ReadonlyMap<string, string> },
): Promise<undefined> {
  const stream = streamOf(context, input);
  await stream.change(({ tags }) => ({ tags: checkTags(stream.name, tags, input.Tags) }));
}

export async function removeTagsFromStream(
  context: Context,
  input: StreamNamed & { readonly TagKeys: readonly string[] },
): Promise<undefined> {
  const stream = streamOf(context, input);
  const { TagKeys: keys } = input;
  checkCharacters(keys, `Failed to remove tags from stream ${stream.name}`);
  await stream.change(({ tags }) => ({
    tags: Object.fromEntries(Object.entries(tags).filter(([key]) => !keys.includes(key))),
  }));
}

export async function listTagsForStream(
  context: Context,
  input: StreamNamed & { readonly Limit?: number; readonly ExclusiveStartTagKey?: string },
): Promise<object> {
  const { Limit: limit = catalogLimits.tagsMax, ExclusiveStartTagKey: start } = input;
  const tags = sorted(streamOf(context, input).settings.tags).filter(({ Key }) => start === undefined || Key > start);
  return { Tags: tags.slice(0, limit), HasMoreTags: tags.length > limit };
}

export function tagResource(
  context: Context,
  { ResourceARN, Tags }: { readonly ResourceARN: string; readonly Tags: ReadonlyMap<string, string> },
): Promise<undefined> {
  return addTagsToStream(context, { StreamName: streamNameIn(ResourceARN), Tags });
}

export function untagResource(
  context: Context,
  { ResourceARN, TagKeys }: { readonly ResourceARN: string; readonly TagKeys: readonly string[] },
): Promise<undefined> {
  return removeTagsFromStream(context, { StreamName: streamNameIn(ResourceARN), TagKeys });
}

export async function listTagsForResource(
  context: Context,
  { ResourceARN }: { readonly ResourceARN: string },
): Promise<object> {
  return { Tags: sorted(streamOf(context, { StreamName: streamNameIn(ResourceARN) }).settings.tags) };
}

/** The tags before, and the new ones. Throws `InvalidArgumentException`. */
export function checkTags(name: string, before: Tags, added: ReadonlyMap<string, string>): Tags {
  checkCharacters([...added.keys(), ...added.values()], `Failed to add tags to stream ${name}`);
  const tags = Object.fromEntries([...Object.entries(before), ...added]);
  if (Object.keys(tags).length <= catalogLimits.tagsMax) return tags;
  throw invalidArgument(
    `Failed to add tags to stream ${name} under account ${accountId} because a given stream cannot have more than ${catalogLimits.tagsMax} tags associated with it.`,
  );
}

function checkCharacters(texts: readonly string[], failed: string): void {
  if (texts.some(text => /[^\u00C0-\u1FFF\u2C00-\uD7FF\w./\-=+_ @%:]/.test(text))) {
    throw invalidArgument(
      'Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.',
    );
  }
  if (texts.some(text => text.includes('%'))) {
    throw invalidArgument(
      `${failed} under account ${accountId} because some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.`,
    );
  }
}

function sorted(tags: Tags): { Key: string; Value: string }[] {
  const keys = Object.keys(tags).sort();
  return keys.map(key => ({ Key: key, Value: tags[key] }));
}
