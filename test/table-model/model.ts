// The table as simple as can be: a map of items, everything looked at each time. What it answers, the engine must.
import {
  apply,
  at,
  type Condition,
  checkCondition,
  checkUpdate,
  holds,
  type Path,
  Refused,
  targetsOf,
} from './expressions.ts';
import type { Key, Operation, SortRange, Write } from './generate.ts';
import { canonicalItem, normalizedItem, numberOf, orderOf, type Wire, type WireItem } from './values.ts';

/** What an operation comes to: an error by its name, or what it answers. */
export type Outcome =
  | { error: string; reasons?: string[] }
  | { old?: string; next?: string }
  | { item: string | undefined }
  | { items: string[] };

const keyNames = ['PK', 'SK'];
const validation: Outcome = { error: 'ValidationException' };

type Decided = { id: string; before: WireItem | undefined; after: WireItem | undefined };

export class TableModel {
  #items = new Map<string, WireItem>();

  /** All items, in one form. */
  all(): string[] {
    return [...this.#items.values()].map(canonicalItem).sort();
  }

  run(operation: Operation): Outcome {
    try {
      return this.#run(operation);
    } catch (error) {
      if (error instanceof Refused) return validation;
      throw error;
    }
  }

  #run(operation: Operation): Outcome {
    switch (operation.kind) {
      case 'put':
      case 'delete':
      case 'update':
        return this.#write(operation);
      case 'get': {
        const item = this.#items.get(idOf(operation.key));
        return { item: item && canonicalItem(project(item, operation.projection)) };
      }
      case 'query':
        return this.#query(operation);
      case 'queryIndex':
        return this.#queryIndex(operation);
      case 'scan':
        return this.#select([...this.#items.values()], operation.filter, true);
      case 'batchGet':
        return { items: operation.keys.flatMap(key => this.#found(key)).sort() };
      case 'transactGet':
        return { items: operation.keys.map(key => this.#found(key)[0] ?? 'none') };
      case 'batchWrite':
        return this.#batchWrite(operation.writes);
      case 'transactWrite':
        return this.#transact(operation.actions);
    }
  }

  #found(key: Key): string[] {
    const item = this.#items.get(idOf(key));
    return item === undefined ? [] : [canonicalItem(item)];
  }

  #write(write: Write): Outcome {
    checkWrite(write);
    const { id, before, after } = this.#decide(write);
    if (write.condition !== undefined && !holds(write.condition, before ?? {})) {
      return { error: 'ConditionalCheckFailedException' };
    }
    const next = after?.();
    this.#keep({ id, before, after: next });
    return { old: before && canonicalItem(before), next: next && canonicalItem(next) };
  }

  #decide(write: Write): { id: string; before: WireItem | undefined; after: (() => WireItem) | undefined } {
    const key = write.kind === 'put' ? (write.item as unknown as Key) : write.key; // a cast: an item holds its key
    const id = idOf(key);
    const before = this.#items.get(id);
    if (write.kind === 'delete') return { id, before, after: undefined };
    if (write.kind === 'put') return { id, before, after: () => normalizedItem(write.item) };
    return { id, before, after: () => updated(write, before) };
  }

  #keep({ id, after }: Decided): void {
    if (after === undefined) this.#items.delete(id);
    else this.#items.set(id, after);
  }

  #query({ partition, range, filter, backwards }: Extract<Operation, { kind: 'query' }>): Outcome {
    if (range?.kind === 'between' && (orderOf(range.lower, range.upper) ?? 0) > 0) return validation;
    const found = [...this.#items.values()].filter(
      item => canonicalItem({ PK: item.PK }) === canonicalItem({ PK: { S: partition } }) && inRange(item.SK, range),
    );
    found.sort((left, right) => orderOf(left.SK, right.SK) ?? 0);
    return this.#select(backwards ? found.reverse() : found, filter, false);
  }

  /** Ties are in no order, so they are compared sorted among themselves: see the comparison. */
  #queryIndex({ owner, filter, backwards }: Extract<Operation, { kind: 'queryIndex' }>): Outcome {
    const found = [...this.#items.values()].filter(item => {
      const { Owner, Rank } = item;
      return Owner !== undefined && Rank !== undefined && 'S' in Owner && Owner.S === owner;
    });
    const order = (left: WireItem, right: WireItem) =>
      (backwards ? -1 : 1) * (orderOf(left.Rank, right.Rank) ?? 0) ||
      (canonicalItem(left) < canonicalItem(right) ? -1 : 1);
    return this.#select(found.sort(order), filter, false);
  }

  #select(items: readonly WireItem[], filter: Condition | undefined, isUnordered: boolean): Outcome {
    if (filter !== undefined) checkCondition(filter);
    const texts = items.filter(item => filter === undefined || holds(filter, item)).map(canonicalItem);
    return { items: isUnordered ? texts.sort() : texts };
  }

  #batchWrite(writes: Extract<Operation, { kind: 'batchWrite' }>['writes']): Outcome {
    const ids = writes.map(write => idOf('item' in write ? (write.item as unknown as Key) : write.key)); // as above
    if (new Set(ids).size < ids.length) return validation;
    for (const [index, write] of writes.entries()) {
      const after = 'item' in write ? normalizedItem(write.item) : undefined;
      this.#keep({ id: ids[index], before: undefined, after });
    }
    return {};
  }

  #transact(actions: Extract<Operation, { kind: 'transactWrite' }>['actions']): Outcome {
    for (const action of actions) {
      if (action.kind === 'check') checkCondition(action.condition);
      else checkWrite(action, []);
    }
    const ids = actions.map(action => idOf(action.kind === 'put' ? (action.item as unknown as Key) : action.key));
    const faulty = actions.map(action => (touchesKey(action) ? 'ValidationError' : 'None'));
    const sound = ids.filter((_, index) => faulty[index] === 'None');
    if (new Set(sound).size < sound.length) return validation;
    if (sound.length < ids.length) return { error: 'TransactionCanceledException', reasons: faulty };
    const changes: Decided[] = [];
    const reasons = actions.map((action, index) => {
      const before = this.#items.get(ids[index]);
      if (action.condition !== undefined && !holds(action.condition, before ?? {})) return 'ConditionalCheckFailed';
      if (action.kind === 'check') return 'None';
      try {
        const { after } = this.#decide(action);
        changes.push({ id: ids[index], before, after: after?.() });
        return 'None';
      } catch (error) {
        if (error instanceof Refused) return 'ValidationError';
        throw error;
      }
    });
    if (reasons.some(reason => reason !== 'None')) return { error: 'TransactionCanceledException', reasons };
    for (const change of changes) this.#keep(change);
    return {};
  }
}

function checkWrite(write: Write, keys: readonly string[] = keyNames): void {
  if (write.condition !== undefined) checkCondition(write.condition);
  if (write.kind === 'update') checkUpdate(write.update, keys);
}

function updated({ key, update }: Extract<Write, { kind: 'update' }>, before: WireItem | undefined): WireItem {
  return normalizedItem(apply(update, before ?? normalizedItem({ ...key }), before === undefined));
}

/** Keys are looked at with the table's schema, after the request and before any item. */
function touchesKey(action: Extract<Operation, { kind: 'transactWrite' }>['actions'][number]): boolean {
  return action.kind === 'update' && targetsOf(action.update).some(([name]) => keyNames.includes(String(name)));
}

function idOf({ PK, SK }: Key): string {
  return `${PK.S}\n${numberOf(SK.N)}`;
}

function inRange(value: Wire, range: SortRange | undefined): boolean {
  if (range === undefined) return true;
  if (range.kind === 'between')
    return (orderOf(value, range.lower) ?? 0) >= 0 && (orderOf(value, range.upper) ?? 0) <= 0;
  const order = orderOf(value, range.value) ?? 0;
  return { '=': order === 0, '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[range.kind];
}

function project(item: WireItem, projection: Path[] | undefined): WireItem {
  if (projection === undefined) return item;
  const found: WireItem = {};
  for (const path of projection) {
    const value = at(item, path);
    if (value !== undefined) found[String(path[0])] = value;
  }
  return found;
}
