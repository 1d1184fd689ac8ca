/** The tables of an engine by name: kept in the store, seen in memory, changed in one transaction of the store. */

import { codeOf } from '../../../kernel/errors.ts';
import type { KeyValueStore, StoreTransaction } from '../../../kernel/store.ts';
import { limitExceeded, tableNotFound, tableNotFoundByName } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { TableLayout } from './layout.ts';
import { listRecords, recordKey, systemSpaces, writeRecord } from './records.ts';
import { freeId, layoutOf, type StoredTable } from './stored-table.ts';

interface Known {
  readonly stored: StoredTable;
  readonly layout: TableLayout;
}

/** A deleted table whose data still go. */
export interface DeletedTable {
  readonly id: number;
  /** All that is left are changes in its stream, which can be read for a day. */
  readonly hasOnlyStream?: boolean;
}

export class Catalog {
  readonly #store: KeyValueStore;
  readonly #isUsable: (tableName: string) => boolean;
  #byName = new Map<string, Known>();
  #byId = new Map<number, Known>();
  #deleted: readonly DeletedTable[] = [];

  /** @param isUsable  tells whether the items of a table can be used already */
  constructor(store: KeyValueStore, isUsable: (tableName: string) => boolean = () => true) {
    this.#store = store;
    this.#isUsable = isUsable;
    this.reload();
  }

  /** @param name  also an ARN. Throws `table.notFound`. */
  table(name: string): TableLayout {
    const known = this.#byName.get(name) ?? this.#byName.get(nameFrom(name));
    if (known === undefined || !this.#isUsable(known.stored.tableName)) throw tableNotFound();
    return known.layout;
  }

  /** What is stored about a table, for whoever sets tables up. @param name  also an ARN. Throws `table.notFound`. */
  stored(name: string): StoredTable {
    const known = this.#byName.get(nameFrom(name));
    if (known === undefined) throw tableNotFoundByName(nameFrom(name));
    return known.stored;
  }

  find(tableName: string): StoredTable | undefined {
    return this.#byName.get(tableName)?.stored;
  }

  /** A table's layout as it is now, as the one a request was planned with may be older; undefined: deleted. */
  current(tableId: number): TableLayout | undefined {
    return this.#byId.get(tableId)?.layout;
  }

  findById(tableId: number): StoredTable | undefined {
    return this.#byId.get(tableId)?.stored;
  }

  /** In no order. */
  *all(): Generator<StoredTable> {
    for (const { stored } of this.#byId.values()) yield stored;
  }

  /** In the order of their names' bytes. */
  list(): StoredTable[] {
    return [...this.all()].sort((left, right) =>
      Buffer.compare(Buffer.from(left.tableName), Buffer.from(right.tableName)),
    );
  }

  deleted(): readonly DeletedTable[] {
    return this.#deleted;
  }

  /** Throws `table.limitExceeded`. */
  freeTableId(): number {
    if (this.#byId.size >= tableLimits.tablesMax) {
      throw limitExceeded(`Subscriber limit exceeded: There is a limit of ${tableLimits.tablesMax} tables`);
    }
    return freeId('table', [...this.#byId.keys(), ...this.#deleted.map(({ id }) => id)]);
  }

  /**
   * Runs `work` in a transaction of the store; what it puts and removes here holds at once for whoever comes next.
   * `work` decides first and changes last, as in the store. If the disk refuses, all is as it was.
   */
  async change<T>(work: (change: CatalogChange) => T): Promise<T> {
    try {
      return await this.#store.write(transaction => work(this.#changeIn(transaction)));
    } catch (error) {
      this.#takeBack();
      throw error;
    }
  }

  /** Whoever closed the store meanwhile has taken the tables along. */
  #takeBack(): void {
    try {
      this.reload();
    } catch (error) {
      if (!codeOf(error).startsWith('store.')) throw error;
    }
  }

  #changeIn(transaction: StoreTransaction): CatalogChange {
    return {
      transaction,
      put: stored => {
        writeRecord(transaction, recordKey(systemSpaces.catalog, stored.tableName), stored);
        this.#remember(stored);
      },
      remove: ({ tableName, id }) => {
        transaction.delete(recordKey(systemSpaces.catalog, tableName));
        writeRecord(transaction, recordKey(systemSpaces.deleted, String(id)), { id });
        this.#byName.delete(tableName);
        this.#byId.delete(id);
        this.#deleted = [...this.#deleted, { id }];
      },
      keepStream: ({ id }) => {
        const kept = { id, hasOnlyStream: true };
        writeRecord(transaction, recordKey(systemSpaces.deleted, String(id)), kept);
        this.#deleted = this.#deleted.map(each => (each.id === id ? kept : each));
      },
      forget: ({ id }) => {
        transaction.delete(recordKey(systemSpaces.deleted, String(id)));
        this.#deleted = this.#deleted.filter(each => each.id !== id);
      },
    };
  }

  /** What the store holds, which is what counts. */
  reload(): void {
    this.#byName = new Map();
    this.#byId = new Map();
    for (const stored of listRecords<StoredTable>(this.#store, systemSpaces.catalog)) this.#remember(stored);
    this.#deleted = listRecords<DeletedTable>(this.#store, systemSpaces.deleted);
  }

  #remember(stored: StoredTable): void {
    const known = { stored, layout: layoutOf(stored) };
    this.#byName.set(stored.tableName, known);
    this.#byId.set(stored.id, known);
  }
}

export interface CatalogChange {
  readonly transaction: StoreTransaction;
  put(stored: StoredTable): void;
  /** The name is free at once, the id when the data are gone. */
  remove(stored: StoredTable): void;
  keepStream(deleted: DeletedTable): void;
  forget(deleted: DeletedTable): void;
}

const arnPattern = /^arn:[^:]*:dynamodb:[^:]*:[^:]*:table\/([^/]+)/;

/** Requests that use a table may name it by its ARN. */
export function nameFrom(nameOrArn: string): string {
  return arnPattern.exec(nameOrArn)?.[1] ?? nameOrArn;
}
