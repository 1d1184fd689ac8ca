/** Which key a message gets in the stream: what decides whom it stays in order with, and which shard it goes to. */
import type { Random } from '../../kernel/random.ts';
import { streamLimits } from '../../platform/stream/index.ts';
import type { PartitionKeyStrategy } from '../port.ts';

export const partitionKeyLimits = {
  fieldBytesMax: 128 * 1024, // ours: AWS IoT Core's largest message; of a larger one the field is not looked for
} as const;

/** @param otherwise  the key where the strategy says none: the name of the thing, or the key that came with the record */
export function partitionKeyOf(
  strategy: PartitionKeyStrategy,
  { otherwise, payload, random }: { otherwise: string; payload: Uint8Array; random: Random },
): string {
  if (strategy === 'thing') return otherwise;
  if (strategy === 'random') return Buffer.from(random.bytes(8)).toString('hex');
  return fieldOf(payload, strategy.field) ?? otherwise;
}

/** The text or number at `path` of a JSON payload, if it can be a key. */
function fieldOf(payload: Uint8Array, path: string): string | undefined {
  if (payload.length > partitionKeyLimits.fieldBytesMax) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString());
  } catch {
    return undefined; // Whoever handles it says what is wrong with it.
  }
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name]; // It is an object that has it.
  }
  const key = typeof value === 'number' ? String(value) : value;
  const isKey =
    typeof key === 'string' && key !== '' && key.length <= streamLimits.partitionKeyCharactersMax && key.isWellFormed();
  return isKey ? key : undefined;
}
