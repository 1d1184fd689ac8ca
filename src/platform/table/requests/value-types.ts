/** The types inside an attribute value as JSON carries it, before anybody asks whether the value makes sense. */
import { malformed } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { readBoolean, refuseScalar } from './scalars.ts';

type Content = (content: unknown, level: number) => unknown;

/** In the order DynamoDB's decoder knows them; other tags are ignored. */
const contents: Readonly<Record<string, Content>> = {
  __proto__: null as never, // tags come from outside: no inherited names
  S: readText,
  B: readBlob,
  N: readText,
  BOOL: content => (typeof content === 'boolean' ? content : readBoolean(content)),
  NULL: content => (typeof content === 'boolean' ? content : readBoolean(content)),
  BS: content => checkElements(content, readBlob),
  NS: content => checkElements(content, readText),
  SS: content => checkElements(content, readText),
  L: (content, level) => checkElements(content, element => checkValueTypes(element, level + 1)),
  M: checkMap,
};

/** @returns the value, changed in place where the decoder converts (`"true"`) or ignores (`null`, unknown tags). */
export function checkValueTypes(value: unknown, level: number): unknown {
  if (typeof value !== 'object' || value === null) throw malformed('Unexpected value type in payload');
  if (Array.isArray(value)) {
    throw malformed('Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue');
  }
  if (level > tableLimits.nestingLevelsMax) return value; // refused for its depth with the values
  const typed = value as Record<string, unknown>; // a cast: an object of JSON
  for (const tag of Object.keys(typed)) {
    const check = contents[tag];
    const content = typed[tag];
    if (check === undefined || content === null || content === undefined) {
      delete typed[tag];
      continue;
    }
    const read = check(content, level);
    if (read !== content) typed[tag] = read;
  }
  return value;
}

function readText(content: unknown): string {
  return typeof content === 'string' ? content : refuseScalar(content, 'String');
}

function readBlob(content: unknown): unknown {
  if (content instanceof Uint8Array) return content;
  if (typeof content === 'object') {
    throw Array.isArray(content)
      ? malformed('Unrecognized collection type class java.nio.ByteBuffer')
      : malformed('Start of structure or map found where not expected');
  }
  if (typeof content !== 'string') throw malformed('only base-64-encoded strings are convertible to bytes');
  if (content.length % 4 !== 0) {
    throw malformed(`Base64 encoded length is expected a multiple of 4 bytes but found: ${content.length}`);
  }
  if (!isBase64(content)) throw malformed('Invalid last non-pad Base64 character dectected');
  return content;
}

/** Of whole groups of four; the bits the padding leaves over must be 0. */
function isBase64(text: string): boolean {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const body = padding === 0 ? text : text.slice(0, -padding);
  if (/[^A-Za-z0-9+/]/.test(body)) return false;
  const last = body.at(-1) ?? '';
  return padding === 0 || (padding === 2 ? 'AQgw' : 'AEIMQUYcgkosw048').includes(last);
}

function checkElements(content: unknown, check: (element: unknown) => unknown): unknown {
  if (!Array.isArray(content)) {
    throw typeof content === 'object'
      ? malformed('Start of structure or map found where not expected')
      : malformed('Unexpected field type');
  }
  for (let index = 0; index < content.length; index++) {
    if (content[index] !== null) content[index] = check(content[index]);
  }
  return content;
}

function checkMap(content: unknown, level: number): unknown {
  if (Array.isArray(content)) {
    throw malformed(
      'Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>',
    );
  }
  if (typeof content !== 'object') throw malformed('Unexpected field type');
  const map = content as Record<string, unknown>; // a cast: an object of JSON
  for (const name of Object.keys(map)) {
    if (map[name] !== null) checkValueTypes(map[name], level + 1);
  }
  return content;
}
