/**
 * What the stored records depend on, in short: each pattern, each unique attribute, each last copy has a fingerprint of all
 * that decides about its records. One that is not the stored one has records that are missing, or stale.
 */
import { createHash } from 'node:crypto';
import { type EntityShape, lookupsOf, type Shapes } from './shape.ts';

/** Raised when the records of the same definition change. 1: `by` in the partition of the index. */
const layoutVersion = 1;

/** By name: `Message.bySpeaker`, `User!mail`, `Device>lastReading`. */
export type Fingerprints = Readonly<Record<string, string>>;

export const partName = {
  pattern: (entity: string, pattern: string) => `${entity}.${pattern}`,
  unique: (entity: string, unique: string) => `${entity}!${unique}`,
  lastCopy: (parent: string, relation: string) => `${parent}>${relation}`,
} as const;

export function fingerprintsOf(shapes: Shapes): Fingerprints {
  const fingerprints: Record<string, string> = {};
  for (const shape of shapes.values()) {
    for (const pattern of lookupsOf(shape)) {
      const { name, by, order, when, projected, shards } = pattern;
      const parts = ['lookup', by, order ?? null, String(when), projected ? [...projected].sort() : null, shards];
      fingerprints[partName.pattern(shape.name, name)] = fingerprint(shape, parts);
    }
    for (const { name, attributes, when } of shape.unique)
      fingerprints[partName.unique(shape.name, name)] = fingerprint(shape, ['unique', attributes, String(when)]);
    for (const { parent, relation, pattern, madeFor } of shape.keptCopies) {
      const lookup = fingerprints[partName.pattern(shape.name, pattern)] ?? null; // What the copy is computed from.
      fingerprints[partName.lastCopy(parent, relation)] = fingerprint(shape, ['copy', madeFor, lookup]);
    }
  }
  return fingerprints;
}

/** Where the entities themselves lie: what no backfill can change. */
export function placesOf(shapes: Shapes): Fingerprints {
  return Object.fromEntries(
    [...shapes.values()].map(shape => [shape.name, `${shape.parent?.name ?? ''}/${shape.id.join('#')}`]),
  );
}

function fingerprint({ name, id, parent }: EntityShape, parts: readonly unknown[]): string {
  const text = JSON.stringify([layoutVersion, name, id, parent?.name ?? null, ...parts]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
