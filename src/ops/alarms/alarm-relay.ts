/**
 * Hands alarms to where the book is, on another thread: the first of its kind at once, so that it arrives whatever this
 * thread does next; when it is raised again and again, now and then with how often.
 */
import type { Alarm, Alarms } from '../../kernel/alarms.ts';
import type { Clock } from '../../kernel/clock.ts';
import { alarmLimits } from '../limits.ts';

/** As it crosses threads. */
export type AlarmMessage =
  | { readonly action: 'raise'; readonly alarm: Alarm; readonly times: number }
  | { readonly action: 'clear' | 'acknowledge'; readonly name: string; readonly subject: string };

interface Held {
  alarm: Alarm;
  times: number;
}

export class AlarmRelay implements Alarms {
  readonly #clock: Clock;
  readonly #send: (message: AlarmMessage) => void;
  /** Raised of late; further ones of the kind are held for a while. */
  readonly #held = new Map<string, Held>();

  constructor({ clock, send }: { clock: Clock; send: (message: AlarmMessage) => void }) {
    this.#clock = clock;
    this.#send = send;
  }

  raise(alarm: Alarm): void {
    const key = `${alarm.name}\u0000${alarm.subject}`;
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.alarm = alarm;
      held.times++;
      return;
    }
    if (this.#held.size < alarmLimits.alarmsMax) {
      this.#held.set(key, { alarm, times: 0 });
      this.#clock.setTimer(alarmLimits.relayMs, () => this.#release(key));
    }
    this.#post({ action: 'raise', alarm, times: 1 });
  }

  clear(name: string, subject: string): void {
    this.#release(`${name}\u0000${subject}`);
    this.#send({ action: 'clear', name, subject });
  }

  acknowledge(name: string, subject: string): void {
    this.#send({ action: 'acknowledge', name, subject });
  }

  #release(key: string): void {
    const held = this.#held.get(key);
    this.#held.delete(key);
    if (held !== undefined && held.times > 0) this.#post({ action: 'raise', alarm: held.alarm, times: held.times });
  }

  #post(message: Extract<AlarmMessage, { action: 'raise' }>): void {
    try {
      this.#send(message);
    } catch {
      const { facts: _facts, ...alarm } = message.alarm; // A fact that cannot cross threads, a function say.
      this.#send({ ...message, alarm });
    }
  }
}
