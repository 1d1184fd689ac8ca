/**
 * The records that a consumer's reader passes by without unpacking them, which is most of a busy stream: whose they were,
 * until the consumer's checkpoint is beyond them. A record costs some 80 ns here, and no object.
 */
import type { PassedRecords, SequenceNumber } from '../../platform/stream/index.ts';
import { NameTable } from './name-table.ts';
import { thingInTopic } from './thing-names.ts';

/** Records of one block, in the order of the log. */
interface Block {
  readonly first: SequenceNumber;
  readonly arrivalAtMs: number;
  /** Where its records begin among `#indexes`. */
  from: number;
}

/** `thingName` undefined: of one for whom there was no name left. */
export type Taken = (
  thingName: string | undefined,
  sequenceNumber: SequenceNumber,
  arrivalAtMs: number,
  count: number,
) => void;

export class PassedBy implements PassedRecords {
  readonly #names = new NameTable();
  readonly #inTopic: boolean;
  #blocks: Block[] = [];
  /** By record: its place in its block, and the number of its name. */
  #indexes: number[] = [];
  #numbers: number[] = [];
  /** Already taken of the first block. */
  #taken = 0;
  /** The last record that was told of: what is read again is not told again. */
  #seenUpTo: SequenceNumber = 0n;
  #skipped = -1;

  constructor(options: { readonly namesLieInTopics: boolean; readonly after: SequenceNumber }) {
    this.#inTopic = options.namesLieInTopics;
    this.#seenUpTo = options.after;
  }

  begin(first: SequenceNumber, arrivalAtMs: number): void {
    this.#noteSeen();
    this.#skipped = this.#seenUpTo < first ? -1 : Number(this.#seenUpTo - first);
    this.#blocks.push({ first, arrivalAtMs, from: this.#indexes.length });
  }

  add(index: number, bytes: Buffer, keyStart: number, dataStart: number, end: number): void {
    if (index <= this.#skipped) return;
    const inTopic = this.#inTopic ? thingInTopic(bytes, dataStart, end) : undefined;
    const number =
      inTopic === undefined
        ? this.#names.numberOf(bytes, keyStart, dataStart)
        : this.#names.numberOf(bytes, inTopic.start, inTopic.end);
    this.#indexes.push(index);
    this.#numbers.push(number);
  }

  /** Everything up to `upTo`, thing by thing and block by block; it is forgotten. */
  take(upTo: SequenceNumber, taken: Taken): void {
    this.#noteSeen();
    while (this.#blocks.length > 0 && this.#blocks[0].first <= upTo) {
      const [block, next] = this.#blocks;
      const end = next?.from ?? this.#indexes.length;
      const indexMax = Number(upTo - block.first);
      const from = Math.max(block.from, this.#taken);
      let to = from;
      while (to < end && this.#indexes[to] <= indexMax) to++;
      this.#tell(block, from, to, taken);
      this.#taken = to;
      if (to < end) break;
      this.#blocks.shift();
    }
    if (this.#blocks.length === 0 || this.#taken >= compactedFrom) this.#compact();
  }

  #tell({ first, arrivalAtMs }: Block, from: number, to: number, taken: Taken): void {
    const counts = new Map<number, number>();
    for (let at = from; at < to; at++) counts.set(this.#numbers[at], (counts.get(this.#numbers[at]) ?? 0) + 1);
    const last = to > from ? first + BigInt(this.#indexes[to - 1]) : first;
    for (const [number, count] of counts)
      taken(number < 0 ? undefined : this.#names.nameOf(number), last, arrivalAtMs, count);
  }

  #noteSeen(): void {
    const block = this.#blocks.at(-1);
    if (block === undefined || this.#indexes.length === block.from) return;
    const last = block.first + BigInt(this.#indexes[this.#indexes.length - 1]);
    if (last > this.#seenUpTo) this.#seenUpTo = last;
  }

  /** Lets go of what was taken, so that a reader that is never done does not grow. */
  #compact(): void {
    for (const block of this.#blocks) block.from = Math.max(0, block.from - this.#taken);
    this.#indexes = this.#indexes.slice(this.#taken);
    this.#numbers = this.#numbers.slice(this.#taken);
    this.#taken = 0;
    if (!this.#names.isFull) return;
    const names = this.#numbers.map(number => (number < 0 ? undefined : Buffer.from(this.#names.nameOf(number))));
    this.#names.clear();
    this.#numbers = names.map(name => (name ? this.#names.numberOf(name, 0, name.length) : -1));
  }
}

const compactedFrom = 32_768; // ours: records taken before what is left is moved
