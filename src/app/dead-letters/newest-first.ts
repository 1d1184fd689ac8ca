/** Letters of several consumers as one list: each consumer's come newest first, and so does what is made of them. */
import type { StoredLetter } from './stored-letter.ts';

interface Head {
  readonly letter: StoredLetter;
  readonly rest: AsyncGenerator<StoredLetter>;
}

export async function* newestFirst(partitions: readonly AsyncGenerator<StoredLetter>[]): AsyncGenerator<StoredLetter> {
  const heads: Head[] = [];
  for (const rest of partitions) await pushNext(heads, rest);
  while (heads.length > 0) {
    const newest = heads.reduce((best, head) => (head.letter.SK > best.letter.SK ? head : best));
    yield newest.letter;
    heads.splice(heads.indexOf(newest), 1);
    await pushNext(heads, newest.rest);
  }
}

async function pushNext(heads: Head[], rest: AsyncGenerator<StoredLetter>): Promise<void> {
  const next = await rest.next();
  if (next.done !== true) heads.push({ letter: next.value, rest });
}
