/** What somebody should be told of dead letters: that there are some, that they grow, that there will be no room. */
import type { Alarms } from '../../kernel/alarms.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { LetterBounds } from './letter-writes.ts';
import { deadLetterLimits } from './limits.ts';
import type { LetterCount } from './port.ts';

export const deadLetterAlarms = {
  some: 'deadLetters',
  growing: 'deadLettersGrowing',
  nearlyFull: 'deadLettersNearlyFull',
  full: 'deadLettersFull',
  notKept: 'deadLettersNotKept',
} as const;

interface Window {
  startMs: number;
  letters: number;
}

export class LetterAlarms {
  readonly #alarms: Alarms;
  readonly #clock: Clock;
  readonly #bounds: LetterBounds;
  /** By consumer: those of an app, so they are few. */
  readonly #windows = new Map<string, Window>();

  constructor({ alarms, clock, bounds }: { alarms: Alarms; clock: Clock; bounds: LetterBounds }) {
    this.#alarms = alarms;
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** An event was given up on, for this reason. */
  noteGrowth(consumer: string, code: string): void {
    const { growthWindowMs, growthLettersMax } = deadLetterLimits;
    const nowMs = this.#clock.monotonicMs();
    let window = this.#windows.get(consumer);
    if (window === undefined || nowMs - window.startMs >= growthWindowMs) {
      if (window !== undefined && window.letters <= growthLettersMax)
        this.#alarms.clear(deadLetterAlarms.growing, consumer);
      window = { startMs: nowMs, letters: 0 };
      this.#windows.set(consumer, window);
    }
    if (++window.letters <= growthLettersMax) return;
    this.#alarms.raise({
      name: deadLetterAlarms.growing,
      subject: consumer,
      message: `${window.letters} events of ${consumer} were dead-lettered within ${growthWindowMs / 60_000} minutes, the last with ${code}.`,
      fix: `See what they have in common: \`mimamori dead-letters list --consumer ${consumer}\`; correct it, then redrive them.`,
      facts: { consumer, letters: window.letters, code },
    });
  }

  /** How many there are now. */
  noteCount({ consumer, letters, bytes }: LetterCount): void {
    const { some, nearlyFull, growing } = deadLetterAlarms;
    if (letters === 0) {
      for (const name of [some, growing]) this.#alarms.clear(name, consumer);
    } else {
      this.#alarms.raise({
        name: some,
        subject: consumer,
        message: `${consumer} has ${letters === 1 ? 'a dead letter' : `${letters} dead letters`}: events that it could not handle.`,
        fix: `\`mimamori dead-letters list --consumer ${consumer}\` shows why; then redrive or delete them.`,
        facts: { consumer, letters, bytes },
      });
    }
    const share = Math.max(letters / this.#bounds.lettersMax, bytes / this.#bounds.bytesMax);
    if (share < deadLetterLimits.nearlyFullShare) return this.#alarms.clear(nearlyFull, consumer);
    this.#alarms.raise({
      name: nearlyFull,
      subject: consumer,
      message: `${consumer} has ${letters} dead letters, ${Math.floor(share * 100)}% of what is kept; at 100% it waits.`,
      fix: 'Redrive them once what fails is corrected, or export and delete them.',
      facts: { consumer, letters, bytes, ...this.#bounds },
    });
  }

  noteFull(consumer: string, { message, fix }: { message: string; fix: string }): void {
    this.#alarms.raise({ name: deadLetterAlarms.full, subject: consumer, message, fix, facts: { consumer } });
  }

  noteRoom(consumer: string): void {
    this.#alarms.clear(deadLetterAlarms.full, consumer);
  }

  noteNotKept(consumer: string, thingName: string): void {
    const share = `${deadLetterLimits.thingShare * 100}%`;
    this.#alarms.raise({
      name: deadLetterAlarms.notKept,
      subject: consumer,
      message: `${thingName} has used up its share (${share}) of the dead letters of ${consumer}: further ones of it are counted, not kept.`,
      fix: 'Find out what the device sends; its messages are in the stream until retention ends. Redrive or delete its letters.',
      facts: { consumer, thingName },
    });
  }
}
