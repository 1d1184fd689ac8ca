import assert from 'node:assert/strict';
import { codeOf, type MimamoriError } from '../../../kernel/errors.ts';
import { Fifo } from '../../../kernel/fifo.ts';
import type { ShardId } from '../port.ts';
import { shardIdOf } from '../shards.ts';
import type { JetStreamAccess } from './access.ts';
import { ConditionalLog } from './conditional-log.ts';
import { refusalOf } from './errors.ts';
import type { PendingBatch, Run } from './pending-batch.ts';
import type { MessageRoom } from './routing.ts';
import { takesRecords } from './shard-map.ts';
import type { ShardMapStore } from './shard-map-store.ts';

export interface ShardWriterOptions {
  readonly access: JetStreamAccess;
  readonly maps: ShardMapStore;
  readonly number: number;
  readonly room: MessageRoom;
  /** Called when the shard turns out to be closed: what waits here goes elsewhere. */
  readonly onClosed: () => void;
}

/**
 * Sends the records of one open shard, one message at a time: everything that waits when the one before is acknowledged
 * goes into the next. So there is order without a promise of NATS to keep it, and a group commit.
 */
export class ShardWriter {
  readonly number: number;
  readonly #options: ShardWriterOptions;
  readonly #shardId: ShardId;
  readonly #log: ConditionalLog;
  #waiting = new Fifo<Run>();
  /** What is in the message under way, or was when the shard turned out to be closed. */
  #group: Run[] = [];
  /** The message that the next one follows; undefined when that is to be asked. */
  #last: number | undefined;
  #isHeld = false;
  #working: Promise<void> | undefined;

  constructor(options: ShardWriterOptions) {
    this.number = options.number;
    this.#options = options;
    this.#shardId = shardIdOf(options.number);
    this.#log = new ConditionalLog(options.access, String(options.number));
  }

  /** Takes a run; `send` lets it go. */
  add(run: Run): void {
    this.#waiting.push(run);
  }

  send(): void {
    if (!this.#isHeld && this.#waiting.length > 0) this.#working ??= this.#work();
  }

  /** Resolves once nothing is under way; nothing is then sent until `goOn`. */
  async hold(): Promise<void> {
    this.#isHeld = true;
    await this.#working;
  }

  goOn(): void {
    if (!this.#isHeld) return; // What is under way must not be taken for what waits.
    for (const run of this.takeAll()) this.#waiting.push(run);
    this.#isHeld = false;
    this.send();
  }

  /** Takes out all that waits, in its order. */
  takeAll(): Run[] {
    assert(this.#isHeld && !this.#working);
    const all = [...this.#group, ...this.#waiting];
    this.#group = [];
    this.#waiting = new Fifo();
    return all;
  }

  async #work(): Promise<void> {
    while (!this.#isHeld && this.#waiting.length > 0) {
      this.#group = this.#takeGroup();
      try {
        const packed = this.#group.map(run => run.packed);
        const message = await this.#appendUnlessGone(packed.length === 1 ? packed[0] : Buffer.concat(packed));
        if (message === undefined) {
          this.#isHeld = true;
          this.#options.onClosed();
        } else this.#keepGroup(message);
      } catch (error) {
        this.#refuseGroup(refusalOf(error, this.#options.access.streamName));
      }
    }
    this.#working = undefined;
  }

  #takeGroup(): Run[] {
    const { recordsMax, bytesMax } = this.#options.room;
    const group: Run[] = [];
    let [records, bytes] = [0, 0];
    for (let run = this.#waiting.peek(); run; run = this.#waiting.peek()) {
      records += run.count;
      bytes += run.packed.length;
      if (group.length > 0 && (records > recordsMax || bytes > bytesMax)) break;
      group.push(run);
      this.#waiting.shift();
    }
    return group;
  }

  /** The number of the message; undefined when the shard is closed, and the message will never be there. */
  async #appendUnlessGone(body: Buffer): Promise<number | undefined> {
    try {
      return await this.#append(body);
    } catch (error) {
      // A closed shard goes with the last of its records.
      if (codeOf(error) === 'stream.notFound' && !(await this.#isOpenByMap())) return undefined;
      throw error;
    }
  }

  async #append(body: Buffer): Promise<number | undefined> {
    const { outrunsMax } = this.#options.access.limits;
    for (let outruns = 0; ; outruns++) {
      if (outruns > 0 || this.#last === undefined) {
        const { last } = await this.#log.range();
        if (await this.#isClosedAt(last)) return undefined;
        this.#last = last;
      }
      const after = this.#last;
      const outcome = await this.#log.append('records', body, after);
      if (outcome === 'kept') {
        this.#last = after + 1;
        return this.#last;
      }
      if (outruns === outrunsMax) throw refusalOf('others always come first', this.#options.access.streamName);
    }
  }

  /**
   * The end message is the last one of its shard for good. If the last is none of ours, or retention has removed it, the
   * map says: a shard is marked as closing before its end message is sent.
   */
  async #isClosedAt(last: number): Promise<boolean> {
    const message = last === 0 ? undefined : await this.#log.findAt(last);
    if (message?.kind === 'end') return true;
    if (message?.kind === 'records') return false;
    return !(await this.#isOpenByMap());
  }

  async #isOpenByMap(): Promise<boolean> {
    const { map } = await this.#options.maps.get();
    return takesRecords(map, this.number);
  }

  #keepGroup(messageNumber: number): void {
    let place = 0;
    for (const run of this.#group) {
      run.batch.keep(run, this.#shardId, messageNumber, place);
      place += run.count;
    }
    this.#group = [];
  }

  /** And what waits of the same batches, for it must not overtake what was refused; everything, when nobody answers. */
  #refuseGroup(error: MimamoriError): void {
    this.#last = undefined;
    const batches = new Set<PendingBatch>(this.#group.map(({ batch }) => batch));
    const isOut = error.code === 'stream.unavailable';
    const followers = this.#waiting.filter(({ batch }) => !isOut && !batches.has(batch));
    for (const run of [...this.#group, ...followers]) run.batch.refuse(run, error);
    this.#group = [];
  }
}
