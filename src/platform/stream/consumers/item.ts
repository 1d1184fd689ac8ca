/** What a consumer knows of each record between reading it and saving a checkpoint behind it. */
import type { StreamRecord } from '../port.ts';
import type { Fate, Selected } from './batch.ts';

/** `passed`: it was given only to tell how far the reader has come. */
export class Tracked {
  readonly record: StreamRecord;
  /** Undefined while it is not done. */
  fate: Fate | 'passed' | undefined;

  constructor(record: StreamRecord, fate?: Fate | 'passed') {
    this.record = record;
    this.fate = fate;
  }
}

/** When records came to their lanes, on the monotonic clock: one for all that came together. */
export interface Arrival {
  readonly atMs: number;
}

/** A record that its function is to handle; the one object a record costs beside itself and its event. */
export class Item<Event> extends Tracked implements Selected<Event> {
  readonly event: Event;
  /** Its number in the order of reading. */
  readonly place: number;
  readonly arrival: Arrival;
  attempts = 0;
  /** It was handed out, or may have been before a restart. */
  wasGiven: boolean;

  constructor(selected: Selected<Event>, arrival: Arrival, place: number, wasGiven: boolean) {
    super(selected.record);
    this.event = selected.event;
    this.arrival = arrival;
    this.place = place;
    this.wasGiven = wasGiven;
  }
}

export function mostAttempts(items: readonly Item<unknown>[]): number {
  let most = 0;
  for (const { attempts } of items) if (attempts > most) most = attempts;
  return most;
}
