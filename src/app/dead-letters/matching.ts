/** Whether a letter is among those that are asked for. */
import { readChange } from '../../platform/table/index.ts';
import type { LetterFilter, LetterKind } from './port.ts';
import type { StoredLetter } from './stored-letter.ts';

/** All of a filter but its time, which is in the key, and its text, which may need the payload. */
export function fitsFacts(letter: StoredLetter, { consumer, thingName, code }: LetterFilter): boolean {
  return (
    (consumer === undefined || letter.Consumer === consumer) &&
    (thingName === undefined || letter.ThingName === thingName) &&
    (code === undefined || letter.ErrorCode === code)
  );
}

/** Whether what lists show says it; else the payload has to be looked at. */
export function saysIt({ ErrorCode, ErrorMessage, Topic = '', EventId }: StoredLetter, text: string): boolean {
  return [ErrorCode, ErrorMessage, Topic, EventId].some(said => said.toLowerCase().includes(text.toLowerCase()));
}

export function holdsIt(kind: LetterKind, payload: Uint8Array, text: string): boolean {
  return payloadText(kind, payload).toLowerCase().includes(text.toLowerCase());
}

/** A payload as a person reads it: changes of a table as JSON, everything else as what it is. */
export function payloadText(kind: LetterKind, payload: Uint8Array): string {
  if (kind === 'change') return payload.length === 0 ? '' : JSON.stringify(shownChange(payload));
  return Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString();
}

/** Sets, bytes and large numbers as JSON can say them. */
function shownChange(payload: Uint8Array): unknown {
  const { name, keys, newImage, oldImage, isExpired } = readChange(payload);
  return plain({ name, keys, newImage, oldImage, isExpired });
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Set) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, plain(held)]));
}
