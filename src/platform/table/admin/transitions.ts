/**
 * Tables between two states. What a call does to a table is done when it answers; on AWS it takes a while, in which the
 * table says CREATING, UPDATING or DELETING and refuses other calls. An engine may be told to look like that, so that
 * programs which do not wait are found out.
 */
import type { TableDescription } from '@aws-sdk/client-dynamodb';
import type { Clock } from '../../../kernel/clock.ts';
import { resourceInUse } from '../errors.ts';

interface Transition {
  readonly untilMs: number;
  readonly description: TableDescription;
}

const stateWords: Readonly<Record<string, string>> = {
  CREATING: 'Table is being created',
  UPDATING: 'Table is being updated',
  DELETING: 'Table is being deleted',
};

export class Transitions {
  /** How long a table is between two states. */
  readonly durationMs: number;
  readonly #clock: Clock;
  readonly #byName = new Map<string, Transition>();

  constructor(clock: Clock, durationMs: number) {
    this.#clock = clock;
    this.durationMs = durationMs;
  }

  begin(tableName: string, description: TableDescription): void {
    if (this.durationMs === 0) return;
    this.#forgetDone(); // so that the map holds no more than what was changed of late
    this.#byName.set(tableName, { untilMs: this.#clock.monotonicMs() + this.durationMs, description });
  }

  /** What the table says of itself while it is between two states. */
  find(tableName: string): TableDescription | undefined {
    const transition = this.#byName.get(tableName);
    if (transition === undefined || transition.untilMs <= this.#clock.monotonicMs()) return undefined;
    return transition.description;
  }

  /** Whether items can be read and written. */
  isUsable(tableName: string): boolean {
    if (this.#byName.size === 0) return true;
    return this.find(tableName)?.TableStatus !== 'CREATING';
  }

  /** Throws `table.inUse` while the table is between two states. */
  checkSettled(tableName: string): void {
    const status = this.find(tableName)?.TableStatus;
    if (status === undefined) return;
    throw resourceInUse(`Attempt to change a resource which is still in use: ${stateWords[status]}: ${tableName}`);
  }

  #forgetDone(): void {
    for (const name of this.#byName.keys()) if (this.find(name) === undefined) this.#byName.delete(name);
  }
}
