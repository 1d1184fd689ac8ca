import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Random } from '../../kernel/random.ts';
import type { Table } from '../../platform/table/index.ts';
import { makeAggregateReaders } from '../aggregates.ts';
import { problemsOf } from '../problems.ts';
import { appTable } from './app-table.ts';
import { readAll } from './batches.ts';
import { asCalls, calling } from './calling.ts';
import { merged, withoutUndefined } from './changes.ts';
import { Cursors } from './cursors.ts';
import type { EntityMap } from './definition.ts';
import { backOff, type EntityEnvironment } from './environment.ts';
import {
  entityContended,
  entityExists,
  entityNotFound,
  entityNotUnique,
  entityNotValid,
  entityVersionConflict,
  patternNotDeclared,
  questionNotValid,
  versionNotFound,
} from './errors.ts';
import { deleteVersions, type HistoryOptions, listVersions, newestVersions, readVersion } from './history.ts';
import { copyKey, planCopies } from './last-copies.ts';
import { entityLimits } from './limits.ts';
import { patientTable } from './patient-table.ts';
import { type Question, readPattern } from './reading.ts';
import { type Attributes, baseKey, idValues, type StoredEntity } from './records.ts';
import { addToPage, findWith, nameOf, wholeOf } from './related.ts';
import { readLookups } from './repair.ts';
import type { Page, Repositories } from './repository-types.ts';
import { scanEntities } from './scan.ts';
import { type EntityShape, type PatternShape, shapesOf } from './shape.ts';
import { type Action, type Outcome, planCreate, planDelete, planUpdate, remove, send } from './writes.ts';

export interface RepositoryOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly random: Random;
  /** Secret, at least 16 bytes: makes cursors that cannot be made up. */
  readonly cursorKey: Uint8Array;
  /** How many records a backfill has looked at, while a pattern is being filled. Default: all patterns are complete. */
  readonly buildingOf?: EntityEnvironment['buildingOf'];
}

/** Throws `entity.definitionNotValid`. */
export function makeRepositories<const E extends EntityMap>(entities: E, options: RepositoryOptions): Repositories<E> {
  const { clock, random, cursorKey, buildingOf = () => undefined } = options;
  const table = patientTable(options.table, options);
  const shapes = shapesOf(entities);
  const environment = { table, clock, random, cursors: new Cursors(cursorKey), shapes, buildingOf };
  const repositories = [...shapes].map(([name, shape]) => {
    const repository = new TableRepository(environment, shape);
    const { list, aggregate } = repository;
    const scan: TableRepository['scan'] = options => repository.scan(options);
    return [name, { ...asCalls(name, repository), list, aggregate, scan }];
  });
  return Object.fromEntries(repositories); // fromEntries forgets the keys, which are E's own.
}

/** The same for every entity; what it takes and gives is typed by `Repository`. */
class TableRepository {
  readonly aggregate: ReturnType<typeof makeAggregateReaders>;
  readonly list: Readonly<Record<string, unknown>>;
  readonly #environment: EntityEnvironment;
  readonly #shape: EntityShape;

  constructor(environment: EntityEnvironment, shape: EntityShape) {
    this.#environment = environment;
    this.#shape = shape;
    const { tableName } = appTable;
    this.aggregate = makeAggregateReaders(shape.name, shape.definition.aggregates, {
      table: environment.table,
      tableName,
    });
    this.list = declaredOnly(
      shape,
      Object.fromEntries(
        [...shape.patterns].map(([name, pattern]) => [name, patternReader(environment, shape, pattern)]),
      ),
    );
  }

  async create(attributes: unknown): Promise<Attributes> {
    const data = this.#validate(attributes);
    const now = this.#nowText();
    const meta = { Version: 1, CreatedAt: now, UpdatedAt: now };
    for (let attempt = 1; ; attempt++) {
      const copies = await planCopies(this.#environment, this.#shape, undefined, { data, meta });
      const outcome = await this.#send(data, [...planCreate(this.#shape, data, meta), ...copies]);
      if (outcome.kind === 'done') return data;
      if (isBaseRefused(outcome)) throw entityExists(this.#shape.name, nameOf(this.#shape, data));
      await this.#tryAgain(data, 0, attempt);
    }
  }

  async find(id: unknown, options: { readonly with?: readonly string[] } = {}): Promise<Attributes | undefined> {
    if (options.with && options.with.length > 0) return findWith(this.#environment, this.#shape, id, options.with);
    return (await this.#load(id))?.Data;
  }

  async get(id: unknown, options: { readonly with?: readonly string[] } = {}): Promise<Attributes> {
    return (await this.find(id, options)) ?? this.#notFound(id);
  }

  async findVersioned(id: unknown) {
    const stored = await this.#load(id);
    return stored && versioned(stored);
  }

  async getVersioned(id: unknown) {
    return (await this.findVersioned(id)) ?? this.#notFound(id);
  }

  async getMany(ids: readonly unknown[]): Promise<(Attributes | undefined)[]> {
    if (ids.length > entityLimits.manyIdsMax)
      throw questionNotValid(this.#shape.name, 'getMany', `at most ${entityLimits.manyIdsMax} ids at once`);
    const keys = ids.map(id => baseKey(this.#shape, idValues(this.#shape, id)));
    if (keys.length === 0) return [];
    const recordAt = await readAll(this.#environment, keys);
    return keys.map(key => (recordAt(key) as StoredEntity | undefined)?.Data); // As this class put it there.
  }

  async update(
    id: unknown,
    change: Attributes | ((current: Attributes) => Attributes | undefined),
    { version }: { readonly version?: number } = {},
  ): Promise<Attributes> {
    for (let attempt = 1; ; attempt++) {
      const stored = (await this.#load(id)) ?? this.#notFound(id);
      this.#checkVersion(stored, version);
      const data = this.#changed(stored, change);
      if (data === undefined || isDeepStrictEqual(data, stored.Data)) return stored.Data;
      const meta = { Version: stored.Version + 1, CreatedAt: stored.CreatedAt, UpdatedAt: this.#nowText() };
      const before = { data: stored.Data, meta: stored };
      const copies = await planCopies(this.#environment, this.#shape, before, { data, meta });
      const outcome = await this.#send(data, [...planUpdate(this.#shape, stored, data, meta), ...copies]);
      if (outcome.kind === 'done') return data;
      await this.#tryAgain(stored.Data, stored.Version, attempt);
    }
  }

  async delete(id: unknown, { version }: { readonly version?: number } = {}): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const stored = await this.#load(id);
      if (!stored) return;
      this.#checkVersion(stored, version);
      const before = { data: stored.Data, meta: stored };
      const copies = await planCopies(this.#environment, this.#shape, before, undefined);
      const found = await readLookups(this.#environment, this.#shape, stored);
      const versions = await newestVersions(this.#environment, this.#shape, id);
      const actions = [...planDelete(this.#shape, stored, found), ...this.#ownCopies(stored), ...copies];
      const room = Math.max(0, entityLimits.transactionItemsMax - actions.length);
      const outcome = await this.#send(stored.Data, [...actions, ...versions.slice(0, room).map(key => remove(key))]);
      if (outcome.kind === 'done') {
        if (versions.length > 0) await deleteVersions(this.#environment, this.#shape, id); // Those there was no room for.
        return;
      }
      await this.#tryAgain(stored.Data, stored.Version, attempt);
    }
  }

  async readVersion(id: unknown, version: number) {
    const current = (await this.#load(id)) ?? this.#notFound(id);
    if (version === 0 || version === current.Version) return versioned(current);
    const stored = await readVersion(this.#environment, this.#shape, current, version);
    if (!stored) throw versionNotFound(this.#shape.name, nameOf(this.#shape, id), version);
    return versioned(stored);
  }

  async listHistory(id: unknown, options: HistoryOptions = {}) {
    const current = await this.#load(id);
    if (!current) return { items: [] };
    const { records, next } = await listVersions(this.#environment, this.#shape, current, options);
    return { items: records.map(versioned), ...(next !== undefined && { next }) };
  }

  async restore(id: unknown, version: number): Promise<Attributes> {
    const { data } = await this.readVersion(id, version);
    const gone = (current: Attributes) => Object.keys(current).filter(name => !Object.hasOwn(data, name));
    return this.update(id, current => ({
      ...Object.fromEntries(gone(current).map(name => [name, undefined])),
      ...data,
    }));
  }

  scan(options: { readonly readUnits: number; readonly cursor?: string }): AsyncGenerator<Attributes> {
    return scanEntities(this.#environment, this.#shape, options);
  }

  /** Again with what stands in for the optional actions that were refused. */
  async #send(id: Attributes, actions: readonly Action[]): Promise<Outcome> {
    const outcome = await send(this.#environment.table, this.#shape, id, actions);
    if (outcome.kind !== 'refused' || isBaseRefused(outcome)) return outcome;
    const { roles } = outcome;
    const taken = roles.flatMap(role => (role.kind === 'unique' ? role.unique.attributes : []));
    if (taken.length > 0) throw entityNotUnique(this.#shape.name, [...new Set(taken)]);
    if (roles.some(({ kind }) => kind === 'required')) return outcome;
    const rest = actions.flatMap(action => (roles.includes(action.role) ? (action.instead ?? []) : action));
    return this.#send(id, rest);
  }

  /** Throws `entity.versionConflict` after the last attempt. */
  async #tryAgain(data: Attributes, version: number, attempt: number): Promise<void> {
    if (attempt >= entityLimits.updateAttemptsMax)
      throw entityContended(this.#shape.name, nameOf(this.#shape, data), version);
    await backOff(this.#environment, entityLimits.conflictDelayMs, attempt);
  }

  #changed(
    stored: StoredEntity,
    change: Attributes | ((current: Attributes) => Attributes | undefined),
  ): Attributes | undefined {
    const changes = typeof change === 'function' ? change(withoutUndefined(stored.Data)) : change;
    if (changes === undefined) return undefined;
    const next = typeof change === 'function' ? { ...stored.Data, ...changes } : merged(stored.Data, changes);
    const data = this.#validate(next);
    const [old, now] = [stored.Data, data].map(each => nameOf(this.#shape, each));
    if (old !== now) throw entityNotValid(this.#shape.name, `${this.#shape.id.join(', ')}: an id does not change`);
    return data;
  }

  #checkVersion(stored: StoredEntity, expected: number | undefined): void {
    if (expected === undefined || expected === stored.Version) return;
    throw entityVersionConflict(this.#shape.name, nameOf(this.#shape, stored.Data), expected, stored.Version);
  }

  /** The last children that this entity keeps copies of. */
  #ownCopies({ Data }: StoredEntity): Action[] {
    const last = [...this.#shape.relations].filter(([, { kind }]) => kind === 'last');
    return last.map(([name]) => remove(copyKey(this.#shape, idValues(this.#shape, Data), name)));
  }

  async #load(id: unknown): Promise<StoredEntity | undefined> {
    const { Item } = await this.#environment.table.get({
      TableName: appTable.tableName,
      Key: { ...baseKey(this.#shape, idValues(this.#shape, id)) },
      ConsistentRead: true,
    });
    return Item as StoredEntity | undefined; // As this class put it there.
  }

  #validate(attributes: unknown): Attributes {
    const parsed = this.#shape.definition.attributes.safeParse(attributes);
    if (!parsed.success) throw entityNotValid(this.#shape.name, problemsOf(parsed.error));
    const data = withoutUndefined(parsed.data);
    const date = Object.keys(data).find(name => data[name] instanceof Date);
    if (date !== undefined)
      throw entityNotValid(this.#shape.name, `${date}: a Date cannot be stored; use its ISO text (z.iso.datetime())`);
    return data;
  }

  #notFound(id: unknown): never {
    throw entityNotFound(this.#shape.name, nameOf(this.#shape, id));
  }

  #nowText(): string {
    return new Date(this.#environment.clock.nowMs()).toISOString();
  }
}

function isBaseRefused(outcome: Outcome): boolean {
  return outcome.kind === 'refused' && outcome.roles.some(({ kind }) => kind === 'base');
}

function versioned({ Data, Version, CreatedAt, UpdatedAt }: StoredEntity) {
  return { data: Data, version: Version, createdAt: CreatedAt, updatedAt: UpdatedAt };
}

type ListQuestion = Omit<Question, 'by'> & { readonly with?: readonly string[] };

/** A pattern as handlers call it: one page, or `whole`, `pages`, `all`. */
function patternReader(environment: EntityEnvironment, shape: EntityShape, pattern: PatternShape) {
  const first = calling(`${shape.name}.${pattern.name}`, 'entities.list');
  const further = calling(`${shape.name}.${pattern.name}`);
  const call = <Result>({ cursor }: ListQuestion, work: () => Result) => (cursor === undefined ? first : further)(work);
  const read = (by: Question['by'], options: ListQuestion) => {
    return readPattern(environment, shape, pattern, { ...options, by });
  };
  const readPage = async (by: Question['by'], options: ListQuestion): Promise<Page<Attributes>> => {
    const { records, next } = await read(by, options);
    const items = records.map(({ Data }) => Data);
    const complete = options.with ? await addToPage(environment, shape, items, options.with) : items;
    return { items: complete, ...(next !== undefined && { next }) };
  };
  const readWhole = async (by: Question['by'], options: ListQuestion): Promise<Page<Attributes>> => {
    const { records, next } = await read(by, options);
    const items = pattern.projected ? await wholeOf(environment, shape, records) : records.map(({ Data }) => Data);
    return { items, ...(next !== undefined && { next }) };
  };
  const page = (by: Question['by'], options: ListQuestion = {}) => call(options, () => readPage(by, options));
  const whole = (by: Question['by'], options: ListQuestion = {}) => call(options, () => readWhole(by, options));
  async function* pages(by: Question['by'], options: ListQuestion = {}): AsyncGenerator<Page<Attributes>> {
    let { cursor } = options;
    do {
      const each = await page(by, { ...options, cursor });
      yield each;
      cursor = each.next;
    } while (cursor !== undefined);
  }
  async function* all(by: Question['by'], options: ListQuestion = {}): AsyncGenerator<Attributes> {
    for await (const { items } of pages(by, options)) yield* items;
  }
  return Object.assign(page, { whole, pages, all });
}

/** Names that a program or a debugger asks any object for. */
const namesOfAll = new Set(['then', 'toJSON', 'constructor', 'inspect']);

/** What was not declared is refused by name, for callers that no type stops. */
function declaredOnly(shape: EntityShape, readers: Record<string, unknown>): Readonly<Record<string, unknown>> {
  return new Proxy(readers, {
    get(target, name) {
      if (typeof name === 'symbol' || Object.hasOwn(target, name) || namesOfAll.has(name))
        return Reflect.get(target, name);
      throw patternNotDeclared(shape.name, name, [...shape.patterns.keys()]);
    },
  });
}

/** For calls that may meet what they wanted already done: `create(…).then(() => true, entityIsThere.already)`. */
export const entityIsThere = {
  /** false when the entity was there already; anything else goes on being an error. */
  already(error: unknown): false {
    if (codeOf(error) === 'entity.exists') return false;
    throw error;
  },
  /** undefined when the entity is gone; anything else goes on being an error. */
  orGone(error: unknown): undefined {
    if (codeOf(error) === 'entity.notFound') return undefined;
    throw error;
  },
};
