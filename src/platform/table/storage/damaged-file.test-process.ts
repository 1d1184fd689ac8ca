/**
 * For `damage.test.ts`: damages copies of a store's file and reads everything, in a process of its own, as a damaged tree
 * can make LMDB read beyond its file. Prints a line of JSON before and after each round.
 */
import { closeSync, cpSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { openLmdbStore } from '../../../kernel/lmdb-store.ts';
import { type Random, seededRandom } from '../../../kernel/random.ts';
import { type OpenTable, openEmbeddedTable } from '../embedded.ts';
import type { TableSchema } from '../port.ts';
import { checkTables } from './check-tables.ts';

const pageBytes = 8_192;
const itemsHeld = 600;

const things: TableSchema = {
  tableName: 'things',
  partitionKey: { name: 'PK', type: 'S' },
  indexes: [{ indexName: 'byOwner', partitionKey: { name: 'owner', type: 'S' } }],
};

function itemOf(number: number) {
  return { PK: `p${number}`, owner: `o${number % 5}`, held: 'x'.repeat(number % 50 === 0 ? 20_000 : number % 90) };
}

async function open(directory: string): Promise<OpenTable> {
  const store = await openLmdbStore({ path: directory, durability: 'sync' });
  return openEmbeddedTable({ store, clock: systemClock, tables: [things] });
}

async function fill(directory: string): Promise<void> {
  const table = await open(directory);
  const numbers = Array.from({ length: itemsHeld }, (_, number) => number);
  await Promise.all(numbers.map(number => table.put({ TableName: 'things', Item: itemOf(number) })));
  await table.close();
}

/** Bits anywhere, bits in the head of a page, or a page in another's place. */
function damage(filePath: string, round: number, random: Random): void {
  const file = openSync(filePath, 'r+');
  const pages = statSync(filePath).size / pageBytes;
  if (round % 3 === 2) {
    const page = Buffer.alloc(pageBytes);
    readSync(file, page, 0, pageBytes, random.integer(pages) * pageBytes);
    writeSync(file, page, 0, pageBytes, random.integer(pages) * pageBytes);
  } else {
    const within = round % 3 === 0 ? pageBytes : 64;
    const position = random.integer(pages) * pageBytes + random.integer(within);
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, position);
    byte[0] ^= 1 << random.integer(8);
    writeSync(file, byte, 0, 1, position);
  }
  closeSync(file);
}

interface Seen {
  wrong: number;
  absent: number;
  codes: string[];
}

async function readAll(table: OpenTable): Promise<Seen> {
  const seen: Seen = { wrong: 0, absent: 0, codes: [] };
  for (let number = 0; number < itemsHeld; number++) {
    try {
      const { Item } = await table.get({ TableName: 'things', Key: { PK: `p${number}` } });
      if (Item === undefined) seen.absent++;
      else if (!isDeepStrictEqual(Item, itemOf(number))) seen.wrong++;
    } catch (error) {
      if (!seen.codes.includes(codeOf(error))) seen.codes.push(codeOf(error));
    }
  }
  return seen;
}

const print = (line: object) => console.log(JSON.stringify(line));
const [, , directory = '', first = '0', last = '0'] = process.argv;
if (first === '0') await fill(path.join(directory, 'whole'));
for (let round = Number(first); round < Number(last); round++) {
  const copy = path.join(directory, `copy-${round}`);
  cpSync(path.join(directory, 'whole'), copy, { recursive: true });
  damage(path.join(copy, 'entries.mdb'), round, seededRandom(round));
  print({ round });
  let seen: Seen = { wrong: 0, absent: 0, codes: [] };
  try {
    const table = await open(copy);
    seen = await readAll(table);
    await table.close().catch(() => {}); // what it says was said before
  } catch (error) {
    seen.codes.push(codeOf(error));
  }
  let findings = 0;
  try {
    const store = await openLmdbStore({ path: copy, durability: 'sync' });
    try {
      findings = checkTables(store).findings.length;
    } finally {
      await store.close().catch(() => {});
    }
  } catch {
    findings = 1; // it cannot even be read
  }
  rmSync(copy, { recursive: true });
  print({ round, ...seen, findings });
}
process.exit(0);
