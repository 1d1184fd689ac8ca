import type { DecodeContext } from '../../src/iot/mqtt/decode.ts';
import type { FuzzRandom } from './fuzz-random.ts';
import type { PoolPacket } from './packet-pool.ts';

/**
 * Makes bytes that are almost packets. A body is mutated behind a gap, then a header is written in front of it: honest
 * more often than not, or little would get past it. Everything happens in one buffer; a case costs no allocation.
 */

const headerRoom = 8;
const bodyBytesMax = 8 * 1024; // ours: the pool's longest body twice; what would grow further is cut

/** Caps a case is decoded with: hardly any, that of most, and the one of the gateway. */
const packetBytesMaxes = [24, 8 * 1024, 8 * 1024, 8 * 1024, 256 * 1024] as const;
const contexts: DecodeContext[] = ([0, 4, 5] as const).flatMap(version =>
  (['client', 'server'] as const).flatMap(from =>
    packetBytesMaxes.map(packetBytesMax => ({ version, from, packetBytesMax })),
  ),
);

/** Lengths and values at which codecs go wrong. */
const edges = [0, 1, 2, 0x7e, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xfffe, 0xffff] as const;
const badVarints = [
  [0x80, 0x00],
  [0x80, 0x80, 0x00],
  [0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff],
  [0x80],
  [0xff, 0xff, 0xff],
] as const;

export class PacketMutator {
  /** Where the case stands, `start` to `end`. What is around it is left from cases before. */
  readonly bytes = Buffer.alloc(headerRoom + bodyBytesMax + headerRoom);
  start = 0;
  end = 0;
  context: DecodeContext = contexts[0];
  readonly #pool: readonly PoolPacket[];
  readonly #valid: readonly PoolPacket[];
  #bodyEnd = 0;

  constructor(pool: readonly PoolPacket[]) {
    this.#pool = pool;
    this.#valid = pool.filter(({ isValid }) => isValid);
  }

  /** Makes the next case of this sequence of chance. */
  make(random: FuzzRandom): void {
    const base = random.pick(random.onceIn(4) ? this.#pool : this.#valid);
    this.context = contextOf(base, random);
    this.#bodyEnd = headerRoom;
    if (base.properties && random.onceIn(3)) this.#shuffleProperties(base, random);
    else this.#append(base.body, 0, base.body.length);
    for (let times = random.integer(4); times > 0; times--) this.#mutateBody(random);
    this.#writeHeader(base.first, random);
    if (random.onceIn(4)) this.#mutateWhole(random);
  }

  get caseBytes(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  #mutateBody(random: FuzzRandom): void {
    const { bytes } = this;
    const length = this.#bodyEnd - headerRoom;
    const at = headerRoom + random.integer(length + 1);
    const few = 1 + random.integer(random.onceIn(8) ? 200 : 8);
    switch (random.integer(10)) {
      case 0: // a bit flipped
        if (at < this.#bodyEnd) bytes[at] ^= 1 << random.integer(8);
        break;
      case 1: // a byte of chance
        if (at < this.#bodyEnd) bytes[at] = random.integer(256);
        break;
      case 2: // bytes put in
        for (let made = this.#open(at, few) - 1; made >= 0; made--) bytes[at + made] = random.integer(256);
        break;
      case 3: // bytes taken out
        this.#delete(at, few);
        break;
      case 4: // bytes said twice
        this.#repeat(at, few);
        break;
      case 5: // the end of another packet
        this.#splice(at, random);
        break;
      case 6: // a length, or another number of two bytes
        if (at + 1 < this.#bodyEnd) bytes.writeUInt16BE(random.pick(edges), at);
        break;
      case 7: // a length that is nearly right
        if (at + 1 < this.#bodyEnd) bytes[at + 1] += random.onceIn(2) ? 1 : 255;
        break;
      case 8: // a variable byte integer
        this.#writeVarint(at, random);
        break;
      default: // cut short
        if (random.onceIn(2)) this.#bodyEnd = at;
    }
  }

  /** The properties in another order, one left out, one twice, or one of another packet among them. */
  #shuffleProperties({ body, properties }: PoolPacket, random: FuzzRandom): void {
    if (!properties) return;
    const { start, end, items } = properties;
    const order = items.map((_, index) => index);
    for (let index = order.length - 1; index > 0; index--) {
      const other = random.integer(index + 1);
      [order[index], order[other]] = [order[other], order[index]];
    }
    if (random.onceIn(3)) order.pop();
    if (order.length > 0 && random.onceIn(3)) order.push(random.pick(order));
    const chosen = order.map(index => items[index]);
    const foreign = random.onceIn(3) ? random.pick(this.#pool).properties?.items[0] : undefined;
    if (foreign) chosen.push(foreign);
    const sectionBytes = chosen.reduce((sum, item) => sum + item.length, 0);
    this.#append(body, 0, start);
    this.#bodyEnd = writeVarint(this.bytes, this.#bodyEnd, sectionBytes);
    for (const item of chosen) this.#append(item, 0, item.length);
    this.#append(body, end, body.length);
  }

  #writeHeader(baseFirst: number, random: FuzzRandom): void {
    const { bytes } = this;
    const length = this.#bodyEnd - headerRoom;
    const first = random.onceIn(12) ? baseFirst ^ (1 << random.integer(8)) : baseFirst;
    if (random.onceIn(16)) {
      const varint = random.pick(badVarints);
      this.start = headerRoom - 1 - varint.length;
      for (let at = 0; at < varint.length; at++) bytes[this.start + 1 + at] = varint[at];
    } else {
      const told = random.onceIn(8) ? Math.max(0, length + random.integer(5) - 2) : length;
      this.start = headerRoom - 1 - (told < 0x80 ? 1 : told < 0x4000 ? 2 : 3);
      writeVarint(bytes, this.start + 1, told);
    }
    bytes[this.start] = first;
    this.end = this.#bodyEnd;
  }

  /** Where fields do not matter: cut anywhere, or followed by whatever the buffer holds. */
  #mutateWhole(random: FuzzRandom): void {
    const length = this.end - this.start;
    if (random.onceIn(2)) this.end -= random.integer(length);
    else this.end = Math.min(this.end + random.integer(headerRoom), this.bytes.length);
    if (random.onceIn(4)) this.bytes[this.start + random.integer(this.end - this.start)] ^= 1 << random.integer(8);
    // What follows must come from this case, not from one before it: the reproducer is the index alone.
    for (let at = this.#bodyEnd; at < this.end; at++) this.bytes[at] = random.integer(256);
  }

  #append(from: Buffer, start: number, end: number): void {
    const length = Math.min(end - start, headerRoom + bodyBytesMax - this.#bodyEnd);
    if (length <= 0) return;
    from.copy(this.bytes, this.#bodyEnd, start, start + length);
    this.#bodyEnd += length;
  }

  /** Makes room for `length` bytes; @returns for how many there is. */
  #open(at: number, length: number): number {
    const fitting = Math.min(length, headerRoom + bodyBytesMax - this.#bodyEnd);
    this.bytes.copyWithin(at + fitting, at, this.#bodyEnd);
    this.#bodyEnd += fitting;
    return fitting;
  }

  #delete(at: number, length: number): void {
    const gone = Math.min(length, this.#bodyEnd - at);
    this.bytes.copyWithin(at, at + gone, this.#bodyEnd);
    this.#bodyEnd -= gone;
  }

  /** The bytes that make room for themselves are still there. */
  #repeat(at: number, length: number): void {
    this.#open(at, Math.min(length, this.#bodyEnd - at));
  }

  #splice(at: number, random: FuzzRandom): void {
    const { body } = random.pick(this.#pool);
    this.#bodyEnd = at;
    this.#append(body, random.integer(body.length + 1), body.length);
  }

  #writeVarint(at: number, random: FuzzRandom): void {
    const varint = random.pick(badVarints);
    for (let index = 0; index < varint.length && at + index < this.#bodyEnd; index++) {
      this.bytes[at + index] = varint[index];
    }
  }
}

/** Mostly as the packet was meant; else another version, the other side, another cap. */
function contextOf({ version, from }: PoolPacket, random: FuzzRandom): DecodeContext {
  const cap = random.integer(packetBytesMaxes.length);
  if (random.onceIn(12)) return contexts[random.integer(6) * packetBytesMaxes.length + cap];
  const speaker = (version === 0 ? 0 : version === 4 ? 2 : 4) + (from === 'client' ? 0 : 1);
  return contexts[speaker * packetBytesMaxes.length + (random.onceIn(8) ? cap : 1)];
}

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let next = at;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes[next++] = (rest & 0x7f) | 0x80;
  bytes[next++] = rest;
  return next;
}
