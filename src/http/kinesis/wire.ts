/** The two spellings of Kinesis' protocol: what a body says, and how an answer is written. */

import { bufferOf } from '../../kernel/bytes.ts';
import type { RequestHead } from '../aws-json/authorization.ts';
import { parseBody } from '../aws-json/body.ts';
import { mediaTypeOf } from '../aws-json/media-type.ts';
import type { WireBody } from '../aws-json/protocol.ts';
import { notSerial, type Refusal } from '../aws-json/refusal.ts';
import { CborError, decodeCbor, encodeCbor } from './cbor.ts';
import { hasTooManyValues } from './json-values.ts';
import { kinesisLimits } from './limits.ts';

export const jsonType = 'application/x-amz-json-1.1';
export const cborType = 'application/x-amz-cbor-1.1';

/** What the body says; whether that is a request comes later, as on AWS. */
export function decodeBody(body: Buffer, contentType: string): { readonly parsed: unknown } | Refusal {
  const { jsonDepthMax: depthMax, bodyValuesMax: valuesMax } = kinesisLimits;
  if (contentType !== cborType) return hasTooManyValues(body, valuesMax) ? notSerial() : parseBody(body, depthMax);
  try {
    return { parsed: decodeCbor(body, { depthMax, valuesMax }) };
  } catch (error) {
    if (error instanceof CborError) return notSerial();
    throw error;
  }
}

/** In the spelling of the request. */
export function encodeBody(output: object | undefined, head: RequestHead): WireBody {
  const contentType = mediaTypeOf(head) === cborType ? cborType : jsonType;
  if (output === undefined) return { body: '', contentType };
  return { body: contentType === cborType ? encodeCbor(output) : JSON.stringify(jsonOf(output)), contentType };
}

/** Dates as seconds since 1970, bytes as base64; everything else as it is. */
function jsonOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value.getTime() / 1_000;
  if (value instanceof Uint8Array) return bufferOf(value).toString('base64');
  if (Array.isArray(value)) return value.map(jsonOf);
  const members = Object.entries(value).map(([name, member]): [string, unknown] => [name, jsonOf(member)]);
  return Object.fromEntries(members); // defines, so a tag may be called __proto__
}
