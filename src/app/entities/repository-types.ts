/** What handlers see of entities. Every type follows from the definition. */
import type { z } from 'zod';
import type { AggregateReaders } from '../aggregates.ts';
import type { AccessPattern, AttributesOf, EntityDefinition, EntityMap } from './definition.ts';

export type Repositories<E extends EntityMap> = { readonly [Name in keyof E]: Repository<E, E[Name]> };

export type Repository<E extends EntityMap, D extends EntityDefinition> = EntityRepository<E, D> &
  (D extends { history: true | { readonly keep: number } } ? VersionHistory<D> : unknown) &
  (D extends { scan: { readonly readUnitsMax: number } } ? Scannable<D> : unknown);

export interface EntityRepository<E extends EntityMap, D extends EntityDefinition> {
  /** Throws `entity.exists`, `entity.notUnique`, `entity.notValid`. */
  create(attributes: z.input<D['attributes']>): Promise<AttributesOf<D>>;
  find<const With extends RelationOf<D> = never>(
    id: IdOf<D>,
    options?: { readonly with?: readonly With[] },
  ): Promise<(AttributesOf<D> & RelatedValues<E, D, With>) | undefined>;
  /** Throws `entity.notFound`. */
  get<const With extends RelationOf<D> = never>(
    id: IdOf<D>,
    options?: { readonly with?: readonly With[] },
  ): Promise<AttributesOf<D> & RelatedValues<E, D, With>>;
  /** With the version that `update` and `delete` can be tied to. */
  findVersioned(id: IdOf<D>): Promise<Versioned<D> | undefined>;
  /** Throws `entity.notFound`. */
  getVersioned(id: IdOf<D>): Promise<Versioned<D>>;
  /**
   * Many at once, 100 per request; undefined for what is not there, in the order of `ids`. Throws `entity.batchIncomplete`, a
   * `BatchIncompleteError` that carries what was found.
   */
  getMany(ids: readonly IdOf<D>[]): Promise<(AttributesOf<D> | undefined)[]>;
  /**
   * Applies `change` to the stored entity and stores the result, again on the newer one if somebody else was quicker:
   * concurrent changes of different attributes, nested ones too, are all kept. With `version` it is stored only if that
   * is still the current one.
   * @param change  what to change, merged in (objects by key, lists replaced, undefined removes), or a function of the
   *   current attributes that returns those to replace; undefined from it leaves everything as it is
   * Throws `entity.notFound`, `entity.notUnique`, `entity.notValid`, `entity.versionConflict`.
   */
  update(
    id: IdOf<D>,
    change: Change<AttributesOf<D>> | ((current: AttributesOf<D>) => Partial<AttributesOf<D>> | undefined),
    options?: { readonly version?: number },
  ): Promise<AttributesOf<D>>;
  /** With its whole history. Content if there was none. Throws `entity.versionConflict`. */
  delete(id: IdOf<D>, options?: { readonly version?: number }): Promise<void>;
  /** The declared access patterns. Any other name is refused with `entity.patternNotDeclared`. */
  readonly list: { readonly [Name in keyof D['patterns']]: PatternReader<E, D, D['patterns'][Name]> };
  /** A group of an aggregate, a few milliseconds behind what is stored. */
  readonly aggregate: AggregateReaders<D>;
}

/** Throws `entity.cursorNotValid`, `entity.patternBuilding`. */
export interface PatternReader<E extends EntityMap, D extends EntityDefinition, P extends AccessPattern> {
  /** One page. */
  <const With extends RelationOf<D> = never>(
    by: ByOf<D, P>,
    options?: ListOptions<D, P, With>,
  ): Promise<Page<ProjectedOf<D, P> & RelatedValues<E, D, With>>>;
  /** One page of whole entities, where the pattern keeps only some attributes: one request more. */
  whole(by: ByOf<D, P>, options?: ListOptions<D, P, never>): Promise<Page<AttributesOf<D>>>;
  /** Page by page; `next` of any of them, given as `cursor`, resumes behind it. */
  pages(by: ByOf<D, P>, options?: ListOptions<D, P, never>): AsyncGenerator<Page<ProjectedOf<D, P>>>;
  /** One after the other, through all pages. */
  all(by: ByOf<D, P>, options?: ListOptions<D, P, never>): AsyncGenerator<ProjectedOf<D, P>>;
}

export interface ListOptions<D extends EntityDefinition, P extends AccessPattern, With extends string>
  extends Partial<Range<OrderOf<D, P>>> {
  /** 1–100; default 50. */
  readonly limit?: number;
  /** `next` of the page before. Only of the same list, in the same range and direction. */
  readonly cursor?: string;
  /** Whose cursor it is: one made for another user is refused. */
  readonly user?: string;
  readonly newestFirst?: boolean;
  /** Relations to bring along: one request more for up to 100 of them. */
  readonly with?: readonly With[];
}

/** Which values of the pattern's order. A Date stands for its ISO text. */
export interface Range<Order> {
  readonly from: Order;
  readonly after: Order;
  readonly to: Order;
  readonly before: Order;
  /** Of text only, instead of the others. */
  readonly prefix: Order extends string ? string : never;
}

export interface Page<Item> {
  readonly items: Item[];
  /** Give it as `cursor` to get the page that follows; absent on the last one. */
  readonly next?: string;
}

export interface Versioned<D extends EntityDefinition> {
  readonly data: AttributesOf<D>;
  /** 1 when created, raised by 1 with each change. */
  readonly version: number;
  /** ISO 8601. */
  readonly createdAt: string;
  /** ISO 8601. */
  readonly updatedAt: string;
}

export interface VersionHistory<D extends EntityDefinition> {
  /** As it was at that version; 0 is the current one. Throws `entity.notFound`. */
  readVersion(id: IdOf<D>, version: number): Promise<Versioned<D>>;
  /** Versions before the current one, oldest first unless `newestFirst`. */
  listHistory(
    id: IdOf<D>,
    options?: { readonly limit?: number; readonly cursor?: string; readonly newestFirst?: boolean },
  ): Promise<Page<Versioned<D>>>;
  /** Makes what it was then the newest version. */
  restore(id: IdOf<D>, version: number): Promise<AttributesOf<D>>;
}

export interface Scannable<D extends EntityDefinition> {
  /**
   * All entities, in no order, by reading the whole table. Throws `entity.scanBudgetUsed`, a `ScanBudgetError` whose
   * `cursor` resumes, when more read units would be needed.
   */
  scan(options: { readonly readUnits: number; readonly cursor?: string }): AsyncGenerator<AttributesOf<D>>;
}

/** Objects merge by key; everything else replaces. */
export type Change<T> = { readonly [Name in keyof T]?: T[Name] extends Nested | undefined ? Change<T[Name]> : T[Name] };
type Nested = { readonly [name: string]: unknown } & { readonly length?: never };

/** One value, or an object of values when several attributes identify it. */
export type IdOf<D extends EntityDefinition> = D['id'] extends readonly (infer Name)[]
  ? { readonly [Each in Name & string]: ValueOf<D, Each> }
  : ValueOf<D, D['id'] & string>;

export type ByOf<D extends EntityDefinition, P extends AccessPattern> = {
  readonly [Name in P['by'][number]]: ValueOf<D, Name>;
};

type ValueOf<D extends EntityDefinition, Name extends string> = Name extends keyof AttributesOf<D>
  ? NonNullable<AttributesOf<D>[Name]>
  : string;

type OrderOf<D extends EntityDefinition, P extends AccessPattern> = P extends { order: infer Name extends string }
  ? OrSpan<ValueOf<D, Name>>
  : string;
type OrSpan<Value> = Value extends string ? string | Date : Value; // an enum is ordered as the text it is

type ProjectedOf<D extends EntityDefinition, P extends AccessPattern> = P extends {
  project: readonly (infer Name)[];
}
  ? Pick<AttributesOf<D>, (Name | P['by'][number] | OrderName<P> | IdName<D>) & keyof AttributesOf<D>>
  : AttributesOf<D>;
type OrderName<P extends AccessPattern> = P extends { order: infer Name } ? Name : never;
type IdName<D extends EntityDefinition> = D['id'] extends readonly (infer Name)[] ? Name : D['id'];

export type RelationOf<D extends EntityDefinition> = D extends { related: infer R } ? keyof R & string : never;

export type RelatedValues<E extends EntityMap, D extends EntityDefinition, With extends string> = D extends {
  related: infer R;
}
  ? { readonly [Name in With]: Name extends keyof R ? RelatedValue<E, R[Name]> : never }
  : unknown;

/** One or none for a key and for the latest; else a list. */
type RelatedValue<E extends EntityMap, R> = R extends { entity: infer Name extends keyof E }
  ? R extends { key: string } | { latest: 1 }
    ? AttributesOf<E[Name]> | undefined
    : AttributesOf<E[Name]>[]
  : never;
