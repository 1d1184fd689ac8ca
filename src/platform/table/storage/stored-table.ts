/** What the catalog keeps about a table, and the layout that follows from it. */
import assert from 'node:assert/strict';
import type { KeyAttribute, StreamViewType } from '../port.ts';
import { type IndexLayout, type KeySchema, keyAttributes, type TableLayout } from './layout.ts';

export interface StoredTable {
  readonly id: number;
  readonly tableName: string;
  readonly tableId: string;
  readonly createdAtMs: number;
  readonly keys: KeySchema;
  /** Names of key attributes in the order in which they were defined, which is the order they are told in. */
  readonly attributeOrder?: readonly string[];
  readonly indexes: readonly StoredIndex[];
  readonly settings: TableSettings;
  readonly timeToLive?: StoredTimeToLive;
  readonly stream?: StreamViewType;
  readonly tags: Readonly<Record<string, string>>;
}

/** `expiry`: the hidden index of when items expire; its only key is the attribute that says so. */
export interface StoredIndex {
  readonly id: number;
  readonly indexName: string;
  readonly kind: 'global' | 'local' | 'expiry';
  readonly keys: KeySchema;
  readonly projection: IndexLayout['projection'];
  /** `building`: not all entries are there; `dropping`: not all are gone. Both are taken up again when opened. */
  readonly status: 'ready' | 'building' | 'dropping';
  /** Of one that is building: the store key of the last item that has its entry, in hexadecimal; none yet if absent. */
  readonly builtTo?: string;
  readonly throughput?: Throughput;
  readonly onDemandThroughput?: OnDemandThroughput;
  readonly warmThroughput?: WarmThroughput;
}

export interface StoredTimeToLive {
  readonly attributeName: string;
  readonly isEnabled: boolean;
  /** Absent when an app's declaration set it. */
  readonly changedAtMs?: number;
}

/** What is only kept and told, in the words of `DescribeTable`. */
export interface TableSettings {
  readonly billingMode: 'PROVISIONED' | 'PAY_PER_REQUEST';
  /** When it last became on-demand. */
  readonly onDemandSinceMs?: number;
  /** Whether the billing mode was ever given, as `DescribeTable` is silent about what was not. */
  readonly tellsBillingMode: boolean;
  readonly throughput: Throughput;
  readonly onDemandThroughput?: OnDemandThroughput;
  readonly warmThroughput?: WarmThroughput;
  readonly tableClass?: 'STANDARD' | 'STANDARD_INFREQUENT_ACCESS';
  readonly tableClassChangedAtMs?: number;
  readonly isDeletionProtected?: boolean;
  readonly encryption?: { readonly keyId?: string };
}

export interface Throughput {
  readonly read: number;
  readonly write: number;
  readonly increasedAtMs?: number;
  readonly decreasedAtMs?: number;
  readonly decreasesToday: number;
}

export interface OnDemandThroughput {
  readonly MaxReadRequestUnits?: number;
  readonly MaxWriteRequestUnits?: number;
}

export interface WarmThroughput {
  readonly ReadUnitsPerSecond?: number;
  readonly WriteUnitsPerSecond?: number;
}

export const noThroughput: Throughput = { read: 0, write: 0, decreasesToday: 0 };

export const onDemandSettings: TableSettings = {
  billingMode: 'PAY_PER_REQUEST',
  tellsBillingMode: true,
  throughput: noThroughput,
};

export function layoutOf(stored: StoredTable): TableLayout {
  const { id, tableName, keys, indexes, stream, timeToLive } = stored;
  const kept = indexes.filter(({ status }) => status !== 'dropping');
  const expiry = kept.find(({ kind }) => kind === 'expiry');
  return {
    id,
    tableName,
    keys,
    indexes: kept
      .filter(({ kind }) => kind !== 'expiry')
      .map(indexLayout)
      .sort((left, right) => (left.indexName < right.indexName ? -1 : 1)),
    ...(expiry && { expiry: { ...indexLayout(expiry), attributeName: expiry.keys.partitionKeys[0].name } }),
    ...(timeToLive?.isEnabled && { ttlAttribute: timeToLive.attributeName }),
    ...(stream && { stream }),
  };
}

export function indexLayout({ id, indexName, kind, keys, projection, status, builtTo }: StoredIndex): IndexLayout {
  const isBuilding = status === 'building';
  return {
    id,
    indexName,
    kind,
    keys,
    projection,
    isBuilding,
    ...(isBuilding && { builtTo: Buffer.from(builtTo ?? '', 'hex') }),
  };
}

const idMax = { table: 0xffff, index: 0xff } as const;

/** The lowest id nobody has; one whose data still go counts as somebody's. */
export function freeId(kind: keyof typeof idMax, taken: readonly number[]): number {
  const known = new Set(taken);
  let id = 1;
  while (known.has(id)) id++;
  assert(id <= idMax[kind]);
  return id;
}

export function sameKeys(left: KeySchema, right: KeySchema): boolean {
  const textOf = (keys: KeySchema) =>
    JSON.stringify([keys.partitionKeys.map(typeAndName), keys.sortKeys.map(typeAndName)]);
  return textOf(left) === textOf(right);
}

function typeAndName({ name, type }: KeyAttribute): string {
  return `${type} ${name}`;
}

/** The attributes that are a key of the table or of an index, once each. */
export function definedAttributes(stored: StoredTable): readonly KeyAttribute[] {
  const { keys, indexes, attributeOrder = [] } = stored;
  const defined = new Map<string, KeyAttribute>();
  const shown = indexes.filter(({ kind, status }) => kind !== 'expiry' && status !== 'dropping');
  for (const each of [keys, ...shown.map(index => index.keys)]) {
    for (const key of keyAttributes(each)) defined.set(key.name, key);
  }
  const positionOf = ({ name }: KeyAttribute) => {
    const position = attributeOrder.indexOf(name);
    return position < 0 ? attributeOrder.length : position;
  };
  return [...defined.values()].sort((left, right) => positionOf(left) - positionOf(right));
}
