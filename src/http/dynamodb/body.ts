/** From the bytes of a body to the input of an operation. Nothing here runs longer than the body is long. */
import { isAscii, isUtf8 } from 'node:buffer';
import { isTooDeep } from '../json.ts';
import { endpointLimits } from './limits.ts';
import { notSerial, Refusal } from './refusal.ts';

export type Input = Record<string, unknown>;

export function readBody(body: Buffer): Input | Refusal {
  const parsed = parseJson(body);
  if (parsed instanceof Refusal) return parsed;
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Input; // a cast: it is an object
  return Array.isArray(parsed) ? notSerial('Start of list found where not expected') : notSerial();
}

function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) return notSerial();
  const text = body.toString(isAscii(body) ? 'latin1' : 'utf8');
  // Deeper ones would overflow the stack of whoever walks them; a shorter text cannot be so deep.
  const { jsonDepthMax } = endpointLimits;
  if (text.length > jsonDepthMax && isTooDeep(text, jsonDepthMax)) {
    return notSerial(`The request is nested deeper than ${jsonDepthMax} levels.`);
  }
  try {
    return JSON.parse(text);
  } catch {
    return notSerial();
  }
}
