import type { Socket } from '../../kernel/sockets.ts';
import type { BrokerLimits } from './broker-limits.ts';
import { writePlainAck } from './encode.ts';
import type { AckPacket } from './packets.ts';

/** The acknowledgements that have four bytes when all went well. */
export type PlainAck = AckPacket['type'];

const ackTypes: readonly PlainAck[] = ['puback', 'pubrec', 'pubrel', 'pubcomp'];

/** What a connection has to say, gathered and written with one call per turn. */
export class Outbox {
  readonly #socket: Socket;
  readonly #limits: BrokerLimits;
  #parts: Buffer[] | undefined;
  #partsBytes = 0;
  /** Type and packet id in one number: acknowledgements of one group leave as one buffer. */
  #acks: number[] | undefined;
  #writtenBytes = 0;
  /** Since when the peer has taken next to nothing, and what it had taken then. */
  #slowSinceMs: number | undefined;
  #takenBytes = 0;

  constructor(socket: Socket, limits: BrokerLimits) {
    this.#socket = socket;
    this.#limits = limits;
  }

  /** Gathered here or buffered in the socket. */
  get waitingBytes(): number {
    return this.#partsBytes + this.#socket.bufferedBytes;
  }

  push(bytes: Buffer): void {
    this.#writePlainAcks(); // What was said before goes out before.
    this.#append(bytes);
  }

  pushAck(type: PlainAck, packetId: number): void {
    this.#acks ??= [];
    this.#acks.push(ackTypes.indexOf(type) * 0x10000 + packetId);
  }

  /** Writes everything gathered since the last time with one call. */
  flush(): void {
    this.#writePlainAcks();
    const parts = this.#parts;
    if (!parts) return;
    const bytes = parts.length === 1 ? parts[0] : joined(parts, this.#partsBytes);
    this.#parts = undefined;
    this.#partsBytes = 0;
    this.#writtenBytes += bytes.length;
    this.#socket.write(bytes);
  }

  /** Everything buffered has gone out. */
  drained(): void {
    this.#slowSinceMs = undefined;
  }

  /** A peer that takes less than a trickle of what waits for it, for as long as the write deadline (hostile D01, D02). */
  isTooSlow(nowMs: number): boolean {
    const { drainedBytesPerSecondMin, writeDeadlineMs } = this.#limits;
    const buffered = this.#socket.bufferedBytes;
    const takenBytes = this.#writtenBytes - buffered;
    const trickleBytes = (drainedBytesPerSecondMin * writeDeadlineMs) / 1_000;
    if (buffered === 0) {
      this.#slowSinceMs = undefined;
    } else if (this.#slowSinceMs === undefined || takenBytes - this.#takenBytes >= trickleBytes) {
      this.#slowSinceMs = nowMs;
      this.#takenBytes = takenBytes;
    }
    return this.#slowSinceMs !== undefined && nowMs - this.#slowSinceMs > writeDeadlineMs;
  }

  /** The connection is over. */
  clear(): void {
    this.#parts = undefined;
    this.#partsBytes = 0;
    this.#acks = undefined;
  }

  #append(bytes: Buffer): void {
    this.#parts ??= [];
    this.#parts.push(bytes);
    this.#partsBytes += bytes.length;
  }

  #writePlainAcks(): void {
    const acks = this.#acks;
    if (!acks) return;
    this.#acks = undefined;
    const bytes = Buffer.allocUnsafe(acks.length * 4);
    for (let index = 0; index < acks.length; index++) {
      writePlainAck(bytes, index * 4, ackTypes[acks[index] >>> 16], acks[index] & 0xffff);
    }
    this.#append(bytes);
  }
}

let lastParts: Buffer[] = [];
let lastJoined: Buffer = Buffer.alloc(0);

/** In a fan-out many connections have the very same parts to say: those are joined once. */
function joined(parts: Buffer[], bytes: number): Buffer {
  if (parts.length === lastParts.length && parts.every((part, index) => part === lastParts[index])) return lastJoined;
  lastParts = parts;
  lastJoined = Buffer.concat(parts, bytes);
  return lastJoined;
}
