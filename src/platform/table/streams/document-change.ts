/** A stored change as programs see it: JavaScript values, as the document API gives them. */
import type { Cause } from '../../../kernel/causes.ts';
import { documentFormat } from '../values/document-format.ts';
import { type ChangeName, changedKey, decodeChange, encodeChange, encodeSized, ttlIdentity } from './change-record.ts';

export interface DocumentChange {
  readonly name: ChangeName;
  /** When it was made, Unix epoch milliseconds. */
  readonly atMs: number;
  readonly keys: Record<string, unknown>;
  readonly newImage?: Record<string, unknown>;
  readonly oldImage?: Record<string, unknown>;
  /** The item was removed because its time to live was over. */
  readonly isExpired: boolean;
  /** What led to it, if a function made it. */
  readonly cause?: Cause;
}

export function readChange(encoded: Uint8Array): DocumentChange {
  const { name, atMs, keys, newImage, oldImage, userIdentity, cause } = decodeChange(encoded);
  return {
    name,
    atMs,
    keys: documentFormat.writeItem(keys),
    ...(newImage && { newImage: documentFormat.writeItem(newImage) }),
    ...(oldImage && { oldImage: documentFormat.writeItem(oldImage) }),
    isExpired: name === 'REMOVE' && userIdentity?.principalId === ttlIdentity.principalId,
    ...(cause && { cause }),
  };
}

/** As a table's stream has it: for a change that is kept and told again. */
export function writeChange({ name, atMs, keys, newImage, oldImage, isExpired, cause }: DocumentChange): Uint8Array {
  const encoded = (item: Record<string, unknown>) => encodeSized(documentFormat.readItem(item).item);
  return encodeChange({
    name,
    atMs,
    keys: encoded(keys),
    newImage: newImage && encoded(newImage),
    oldImage: oldImage && encoded(oldImage),
    userIdentity: isExpired ? ttlIdentity : undefined,
    cause,
  });
}

/** Only the key, for whoever passes by most changes. */
export function readChangedKey(encoded: Uint8Array): Record<string, unknown> {
  return documentFormat.writeItem(changedKey(encoded));
}
