/** From the bytes of a body to the input of an operation. Nothing here runs longer than the body is long. */
import { isAscii, isUtf8 } from 'node:buffer';
import { isTooDeep } from '../json.ts';
import { notSerial, type Refusal } from './refusal.ts';

export type Input = Record<string, unknown>;

/** What the bytes say in JSON; whether that is a request comes later, as on AWS. */
export function parseBody(body: Buffer, depthMax: number): { readonly parsed: unknown } | Refusal {
  if (!isUtf8(body)) return notSerial();
  const text = body.toString(isAscii(body) ? 'latin1' : 'utf8');
  // Deeper ones would overflow the stack of whoever walks them; a shorter text cannot be so deep.
  if (text.length > depthMax && isTooDeep(text, depthMax)) {
    return notSerial(`The request is nested deeper than ${depthMax} levels.`);
  }
  try {
    return { parsed: JSON.parse(text) };
  } catch {
    return notSerial();
  }
}

export function inputOf(parsed: unknown): Input | Refusal {
  if (Array.isArray(parsed)) return notSerial('Start of list found where not expected');
  return typeof parsed === 'object' && parsed !== null ? (parsed as Input) : notSerial(); // a cast: it is an object
}
