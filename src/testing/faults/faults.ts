import type { Random } from '../../kernel/random.ts';
import type { TestWorld } from '../../local/one-thread.ts';
import { type Duration, durationMs } from '../world/durations.ts';
import type { Fault } from './fault.ts';
import { MessageFaults } from './message-faults.ts';
import { StreamFaults } from './stream-faults.ts';
import { TableFaults } from './table-faults.ts';

/** What a test can let go wrong, by place. Every fault lasts until it is stopped or has struck as often as it was to. */
export class Faults {
  readonly table: TableFaults;
  readonly stream: StreamFaults;
  /** What devices send. A message that is lost costs its device the connection. */
  readonly up: MessageFaults;
  /** What devices are sent. */
  readonly down: MessageFaults;
  /** The requests of commands, before they reach the broker. */
  readonly commands: MessageFaults;
  readonly disk: DiskFaults;

  constructor(world: TestWorld, random: Random) {
    const parts = { clock: world.clock, random };
    this.table = new TableFaults(parts);
    this.stream = new StreamFaults(parts);
    this.up = new MessageFaults(parts);
    this.down = new MessageFaults(parts);
    this.commands = new MessageFaults(parts);
    this.disk = new DiskFaults(world, this.table);
  }

  stopAll(): void {
    for (const place of [this.table, this.stream, this.up, this.down, this.commands, this.disk]) place.stopAll();
  }
}

export class DiskFaults {
  readonly #world: TestWorld;
  readonly #table: TableFaults;
  readonly #active = new Set<Fault>();

  constructor(world: TestWorld, table: TableFaults) {
    this.#world = world;
    this.#table = table;
  }

  /** There is no room for anything until it is stopped: the stream refuses publishers, the table refuses writes. */
  full(): Fault {
    const makeRoom = this.#world.disk.failWhile({ operation: 'write', code: 'ENOSPC' });
    const table = this.#table.refuseWrites();
    return this.#lasting(
      () => {
        makeRoom();
        table.stop();
      },
      () => table.hits,
    );
  }

  /** The next sync of the stream or the sessions fails, after which they acknowledge nothing until the app is restarted. */
  failSync(): void {
    this.#world.disk.failNext({ operation: 'sync', code: 'EIO' });
  }

  /** Each write and sync of the stream and the sessions takes so long. */
  slow(duration: Duration): Fault {
    const { disk } = this.#world;
    const beforeMs = disk.latencyMs;
    disk.latencyMs = durationMs(duration);
    return this.#lasting(
      () => {
        disk.latencyMs = beforeMs;
      },
      () => 0,
    );
  }

  stopAll(): void {
    for (const fault of this.#active) fault.stop();
  }

  #lasting(end: () => void, hits: () => number): Fault {
    const stop = () => {
      if (this.#active.delete(fault)) end();
    };
    const fault: Fault = {
      get hits() {
        return hits();
      },
      stop,
      [Symbol.dispose]: stop,
    };
    this.#active.add(fault);
    return fault;
  }
}
