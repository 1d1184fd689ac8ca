/**
 * How an app declares what it stores. Access patterns first: there is no other way to list. Keys, records, types and
 * the document that `mimamori schema` prints are derived from these values; nothing here runs.
 */
import type { z } from 'zod';
import type { AggregateDefinition } from '../aggregates.ts';

export interface EntityDefinition {
  readonly attributes: z.ZodObject;
  /** The attribute that identifies it, or several that do together: `['productId', 'warehouseId']`. */
  readonly id: string | readonly string[];
  /**
   * Keeps the records in the partition of a parent entity, so that one request reads the parent and its children. The
   * first attributes of `id` are then the parent's id. Cannot be changed later.
   */
  readonly within?: string;
  /** The questions that will be asked of it, by name. */
  readonly patterns: Readonly<Record<string, AccessPattern>>;
  /** Counts, sums and extremes that are kept up to date, by name. */
  readonly aggregates?: Readonly<Record<string, AggregateDefinition>>;
  /** Attributes that no two entities share; whoever lacks one takes no part. */
  readonly unique?: readonly string[];
  /** Keeps the versions before the current one: all of them, or the newest `keep`. */
  readonly history?: true | { readonly keep: number };
  /** Entities that can be read together with this one. */
  readonly related?: Readonly<Record<string, Related>>;
  /** Allows `scan`, which reads the whole table, with at most so many read units per call. */
  readonly scan?: { readonly readUnitsMax: number };
}

export interface AccessPattern {
  /** Attributes that a question fixes; they choose the partition. `[]` asks for all, and is then sharded. */
  readonly by: readonly string[];
  /** The string or number that orders the answers, and that ranges and prefixes are about. Default: the id. */
  readonly order?: string;
  /** Entities that take part; the others have no lookup record (a sparse index). Default: all that have `by` and `order`. */
  readonly when?: (attributes: never) => boolean; // `never`: whatever a definition's function takes is assignable
  /** Attributes in the lookup record, besides id, `by` and `order`. Default: all. */
  readonly project?: readonly string[];
  /** Spreads each partition over so many, by a hash of the id; a page is read from all of them and merged. */
  readonly shards?: number;
  /** No two entities that take part share the values of `by`. */
  readonly unique?: boolean;
}

export type Related =
  /** The one entity whose id is in an attribute of this one. */
  | { readonly entity: string; readonly key: string }
  /**
   * Entities of which this one's id is the `by` of a pattern: the last `latest` by its order, or the first ones.
   * `latest: 1` is kept as a copy beside this entity, so that a list can bring it along.
   */
  | { readonly entity: string; readonly pattern: string; readonly latest?: number };

export type EntityMap = Readonly<Record<string, EntityDefinition>>;
export type AttributesOf<D extends EntityDefinition> = z.output<D['attributes']>;

/** What a pattern may say of entities with these attributes. */
interface PatternOf<A extends z.ZodObject> extends AccessPattern {
  readonly by: readonly NameOf<A>[];
  readonly order?: NameOf<A>;
  readonly when?: (attributes: z.output<A>) => boolean;
  readonly project?: readonly NameOf<A>[];
}

interface PartsOf<A extends z.ZodObject> extends Omit<EntityDefinition, 'attributes'> {
  readonly id: NameOf<A> | readonly NameOf<A>[];
  readonly patterns: Readonly<Record<string, PatternOf<A>>>;
  readonly unique?: readonly NameOf<A>[];
}

type NameOf<A extends z.ZodObject> = keyof z.output<A> & string;

/** A definition whose attribute names are checked where they are written. A plain object is checked when the app starts. */
export function defineEntity<A extends z.ZodObject, const P extends PartsOf<A>>(
  attributes: A,
  parts: P,
): { readonly attributes: A } & P {
  return { attributes, ...parts };
}
