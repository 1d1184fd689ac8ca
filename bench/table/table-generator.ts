// Callers that ask a table for one thing after the other, in a process of their own: with the engine when it is measured
// in process, beside the server when it is measured over HTTP.
import { serveParent } from '../generators/generator-child.ts';
import { LatencyHistogram } from '../histogram.ts';
import { openLmdbTable } from './lmdb-table.ts';
import { openMimamoriTable } from './mimamori-table.ts';
import { openRawTable } from './raw-table.ts';
import { openSdkTable } from './sdk-table.ts';
import { openSqliteTable } from './sqlite-table.ts';
import {
  type BenchItem,
  fillItems,
  listsMax,
  type Operation,
  type TableUnderLoad,
  userItem,
} from './table-under-load.ts';

export type TableEngine = 'mimamori' | 'lmdb' | 'sqlite' | 'sdk' | 'raw';

export type ToTable =
  /** `place`: a folder, or the URL of a server. */
  | { kind: 'open'; engine: TableEngine; place: string; users: number }
  | { kind: 'run'; operation: Operation; callers: number; seconds: number };

export interface TableResult {
  operations: number;
  elapsedMs: number;
  p50Ms: number;
  p99Ms: number;
  cpuMs: number;
}

const engines = {
  mimamori: openMimamoriTable,
  lmdb: openLmdbTable,
  sqlite: openSqliteTable,
  sdk: openSdkTable,
  raw: openRawTable,
};
const fillBatch = 25;
const fillersMax = 64;
const newIdsFrom = 2 ** 43; // above all that the table was filled with
let newIds = 0;
let table: TableUnderLoad | undefined;
let users = 0;

serveParent(async (request: ToTable): Promise<TableResult | undefined> => {
  if (request.kind === 'run') return run(request.operation, request.callers, request.seconds);
  table ??= await engines[request.engine](request.place);
  await fill(table, users, request.users); // asked again, it goes on where it was
  users = request.users;
  return undefined;
});

async function fill(target: TableUnderLoad, from: number, upTo: number): Promise<void> {
  const items = fillItems(from, upTo);
  const filler = async () => {
    for (;;) {
      const batch: BenchItem[] = [];
      for (let next = items.next(); next.done !== true; next = items.next()) {
        batch.push(next.value);
        if (batch.length === fillBatch) break;
      }
      if (batch.length === 0) return;
      await target.batch(batch);
    }
  };
  await Promise.all(Array.from({ length: fillersMax }, filler));
}

async function run(operation: Operation, callers: number, seconds: number): Promise<TableResult> {
  if (table === undefined) throw new Error('The table is opened before it is used.');
  const call = callOf(operation, table);
  const latencies = new LatencyHistogram();
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  const endsAtMs = startedAtMs + seconds * 1_000;
  let done = 0;
  const caller = async () => {
    for (let nowMs = performance.now(); nowMs < endsAtMs; ) {
      await call();
      const afterMs = performance.now();
      latencies.record(afterMs - nowMs);
      nowMs = afterMs;
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const elapsedMs = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    operations: done,
    elapsedMs,
    p50Ms: latencies.percentileMs(50),
    p99Ms: latencies.percentileMs(99),
    cpuMs: (user + system) / 1_000,
  };
}

function callOf(operation: Operation, target: TableUnderLoad): () => Promise<unknown> {
  const below = (count: number) => Math.floor(Math.random() * count);
  // New ones come all over the place, but none twice: an odd factor scatters 32 bits without a collision.
  const newItem = () => userItem(newIdsFrom + ((++newIds * 2_654_435_761) % 2 ** 32) * 1_024);
  const newItems = (length: number) => Array.from({ length }, newItem);
  const calls: Record<Operation, () => Promise<unknown>> = {
    put: () => target.put(newItem()),
    update: () => target.update(below(users)),
    get: () => target.get(below(users)),
    query: () => target.query(below(listsMax)),
    transact: () => target.transact(newItems(4)),
    batch: () => target.batch(newItems(25)),
  };
  return calls[operation];
}
