/** What the tests of dead letters share: an app's table in memory, on a clock and a disk that a test owns. */
import type { Alarm, Alarms } from '../../kernel/alarms.ts';
import { Counters } from '../../kernel/counters.ts';
import { idMaker } from '../../kernel/ids.ts';
import { silentLog } from '../../kernel/log.ts';
import { MemoryDisk, openMemoryStore } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { openEmbeddedTable, type Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { DeadLetters } from './dead-letters.ts';
import { messageLetter } from './from-events.ts';
import type { LetterBounds } from './letter-writes.ts';
import type { LetterFilter, NewLetter, RunOne } from './port.ts';
import type { RedriveRequest, RedriveState } from './redrives.ts';

/** Alarms that are active, by name and subject. */
export class NotedAlarms implements Alarms {
  readonly active = new Map<string, Alarm>();

  raise(alarm: Alarm): void {
    this.active.set(`${alarm.name} ${alarm.subject}`, alarm);
  }

  clear(name: string, subject: string): void {
    this.active.delete(`${name} ${subject}`);
  }

  get names(): string[] {
    return [...this.active.keys()].sort();
  }
}

export class LettersWorld {
  readonly clock = new VirtualClock();
  readonly disk = new MemoryDisk({ clock: this.clock });
  readonly counters = new Counters();
  failures: unknown[] = [];
  alarms = new NotedAlarms();
  /** What the app's handlers do with what is redriven. */
  run: RunOne = async () => {};
  table!: Table; // `start` comes first
  dead!: DeadLetters;
  readonly #newId = idMaker(this.clock, seededRandom(1));

  /** A process that starts on what is stored. */
  async start(bounds?: LetterBounds): Promise<this> {
    const { clock, counters } = this;
    const store = await clock.until(openMemoryStore({ clock, disk: this.disk }));
    this.table = await clock.until(openEmbeddedTable({ store, clock, tables: [appTable] }));
    this.alarms = new NotedAlarms();
    const failures: unknown[] = []; // Of this process: what an earlier one still says is history.
    this.failures = failures;
    this.dead = new DeadLetters({
      table: this.table,
      clock,
      counters,
      log: silentLog,
      alarms: this.alarms,
      newId: this.#newId,
      runOne: (consumer, event) => this.run(consumer, event),
      onFailure: error => failures.push(error),
      bounds,
    });
    await this.until(this.dead.start(['lights', 'doors']));
    return this;
  }

  /** What was not synced is lost, and so is everything in memory. */
  async crash(bounds?: LetterBounds): Promise<this> {
    this.disk.crash();
    return this.start(bounds);
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  letter(number: number, rest: Partial<NewLetter> & { payload?: Uint8Array } = {}): NewLetter {
    const record = {
      sequenceNumber: BigInt(number),
      partitionKey: rest.thingName ?? 'lamp',
      data: Buffer.from(rest.payload ?? `{"number":${number}}`),
      arrivalAtMs: this.clock.nowMs(),
    };
    const failed = { consumer: 'lights', shardId: 'shardId-000000000000', record, error: new Error('no'), attempts: 3 };
    return { ...messageLetter(failed), ...rest };
  }

  async keep(...letters: NewLetter[]): Promise<void> {
    for (const letter of letters) await this.until(this.dead.keep(letter));
  }

  async ids(filter: LetterFilter = {}): Promise<string[]> {
    const { letters } = await this.until(this.dead.letters.page(filter, { limit: 1_000 }));
    return letters.map(({ id }) => id);
  }

  async numbers(filter: LetterFilter = {}): Promise<number[]> {
    const { letters } = await this.until(this.dead.letters.page(filter, { limit: 1_000 }));
    return letters.map(({ sequenceNumber }) => Number(sequenceNumber));
  }

  /** From the start of a redrive to its end. */
  async redrive(request: RedriveRequest = {}): Promise<RedriveState> {
    const { redriveId } = await this.until(this.dead.redriver.start(request));
    return this.over(redriveId);
  }

  async over(redriveId: string): Promise<RedriveState> {
    for (;;) {
      const state = await this.until(this.dead.redrives.get(redriveId));
      if (state.state !== 'running') return state;
      await this.clock.advance(10);
    }
  }
}
