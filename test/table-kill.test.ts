import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { systemClock } from '../src/kernel/clock.ts';
import { openLmdbStore } from '../src/kernel/lmdb-store.ts';
import { seededRandom } from '../src/kernel/random.ts';
import {
  type OpenTable,
  openEngine,
  readChange,
  type Table,
  tableOn,
  verifyIndexes,
} from '../src/platform/table/index.ts';
import { temporaryFolder, testScale } from './support.ts';
import { killTable, lanes, notesKept, step } from './table-writer.test-process.ts';

const TableName = killTable.tableName;
const writerFile = path.join(import.meta.dirname, 'table-writer.test-process.ts');

/** Lets a process write for `ms`, then kills it. Resolves with the last step of each lane that was acknowledged. */
async function writeAndKill(folder: string, ms: number): Promise<number[]> {
  const child = spawn(process.execPath, [writerFile, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const acknowledged = Array.from({ length: lanes }, () => 0);
  const lines = createInterface({ input: child.stdout });
  const opened = once(lines, 'line');
  lines.on('line', line => {
    const [lane, count] = line.split(' ').map(Number);
    if (count !== undefined) acknowledged[lane] = count;
  });
  const exited = once(child, 'exit');
  const read = once(lines, 'close');
  await Promise.race([opened, exited]);
  await new Promise(resolve => setTimeout(resolve, ms)); // real time: the process is on its own schedule
  child.kill('SIGKILL');
  assert.deepEqual(await exited, [null, 'SIGKILL']);
  await read;
  return acknowledged;
}

type Item = Record<string, unknown>;

async function allItems(table: Table): Promise<Map<string, Item>> {
  const items = new Map<string, Item>();
  let ExclusiveStartKey: Item | undefined;
  do {
    const page = await table.scan({ TableName, ExclusiveStartKey });
    for (const item of page.Items ?? []) items.set(`${item.PK} ${item.SK}`, item);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  return items;
}

/** What a lane that came to `count` has left. */
function laneAfter(lane: number, count: number): Item[] {
  const PK = `lane-${lane}`;
  const notes = Array.from(
    { length: Math.min(count, notesKept) },
    (_, back) => step(lane, count - back).TransactItems[1].Put?.Item ?? {},
  );
  return count === 0 ? [] : [{ PK, SK: 0, count, Weight: count, Colour: 'head' }, ...notes];
}

/** Follows the stream from where it was left, and applies what it says. */
class Follower {
  readonly items = new Map<string, Item>();
  #after = 0n;
  records = 0;

  follow(table: OpenTable): void {
    const feed = table.changesOf(TableName);
    for (;;) {
      const changes = feed.read(this.#after, 1_000_000);
      if (changes.length === 0) break;
      for (const { sequenceNumber, change } of changes.map(each => ({ ...each, change: readChange(each.encoded) }))) {
        assert.equal(sequenceNumber, this.#after + 1n, 'no gap and no repeat');
        this.#after = sequenceNumber;
        this.#apply(change);
      }
    }
    assert.equal(feed.lastSequenceNumber(), this.#after);
  }

  #apply({ keys, oldImage, newImage }: ReturnType<typeof readChange>): void {
    const key = `${keys.PK} ${keys.SK}`;
    assert.deepEqual(oldImage, this.items.get(key), 'a change begins where the one before ended');
    if (newImage === undefined) this.items.delete(key);
    else this.items.set(key, newImage);
    this.records++;
  }
}

describe('a table whose process is killed', () => {
  it('has everything acknowledged, nothing torn, indexes as rebuilt, and a stream without gap or repeat', async t => {
    const rounds = testScale(2, 200);
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    t.diagnostic(`seed ${seed}, ${rounds} rounds`);
    const random = seededRandom(seed);
    const folder = path.join(temporaryFolder(), 'table');
    const follower = new Follower();
    let counts = Array.from({ length: lanes }, () => 0);
    for (let round = 0; round < rounds; round++) {
      const acknowledged = await writeAndKill(folder, random.integer(200));
      const store = await openLmdbStore({ path: folder, durability: 'sync' });
      const engine = await openEngine({ store, clock: systemClock, tables: [killTable] });
      const table = tableOn(engine);
      const items = await allItems(table);
      const found = counts.map((_, lane) => Number(items.get(`lane-${lane} 0`)?.count ?? 0));
      for (const [lane, count] of found.entries()) {
        const least = Math.max(acknowledged[lane], counts[lane]);
        assert(count === least || count === least + 1, `lane ${lane} is at ${count}, ${least} was acknowledged`);
      }
      const expected = found
        .flatMap((count, lane) => laneAfter(lane, count))
        .map(item => [`${item.PK} ${item.SK}`, item] as const);
      assert.deepEqual(sorted(items), sorted(new Map(expected)));
      assert.deepEqual(verifyIndexes(engine, TableName).differences, []);
      follower.follow(table);
      assert.deepEqual(sorted(follower.items), sorted(items));
      counts = found;
      await table.close();
    }
    const steps = counts.reduce((sum, count) => sum + count, 0);
    t.diagnostic(`${steps} transactions, ${follower.records} changes`);
    assert(steps > rounds, 'the load was real');
  });
});

function sorted(items: Map<string, Item>): (readonly [string, Item])[] {
  return [...items].sort(([left], [right]) => (left < right ? -1 : 1));
}
