/**
 * Tells others of alarms: a function of the app or a test, an address on the web. One that is slow or away costs nobody
 * anything: so many wait, each is tried a few times, and what is dropped is counted and in the list all the same.
 */
import { type Clock, delay } from '../../kernel/clock.ts';
import { messageOf } from '../../kernel/errors.ts';
import { Fifo } from '../../kernel/fifo.ts';
import type { Log } from '../../kernel/log.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import { webhookNotValid } from '../errors.ts';
import { alarmLimits } from '../limits.ts';
import type { PostJson } from '../metrics/index.ts';
import type { AlarmChange } from './alarm-book.ts';

/** Rejecting means: try again. */
export type AlarmHook = (change: AlarmChange) => void | Promise<void>;

export interface NotifierOptions {
  readonly hook: AlarmHook;
  readonly clock: Clock;
  readonly log: Log;
}

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #waiting = new Fifo<AlarmChange>();
  readonly #bucket: TokenBucket;
  readonly #closing = new AbortController();
  #isSending = false;
  /** Changes that nobody was told of. */
  dropped = 0;

  constructor(options: NotifierOptions) {
    this.#options = options;
    const perSecond = alarmLimits.noticesPerMinuteMax / 60;
    this.#bucket = new TokenBucket(perSecond, options.clock.monotonicMs(), 60);
  }

  notify(change: AlarmChange): void {
    const isRoom = this.#waiting.length < alarmLimits.noticesMax;
    if (!isRoom || !this.#bucket.take(this.#options.clock.monotonicMs())) {
      this.dropped++;
      return;
    }
    this.#waiting.push(change);
    if (!this.#isSending) void this.#send();
  }

  /** What waits is not sent any more. */
  close(): void {
    this.#closing.abort();
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#closing.signal.aborted) return;
      await this.#try(next);
    }
    this.#isSending = false;
  }

  async #try(change: AlarmChange): Promise<void> {
    const { hook, clock, log } = this.#options;
    for (let attempt = 1; !this.#closing.signal.aborted; attempt++) {
      try {
        return await hook(change);
      } catch (error) {
        if (attempt >= alarmLimits.webhookAttemptsMax) {
          this.dropped++;
          const { name, subject } = change.alarm;
          return log.warn({ name, subject, reason: messageOf(error) }, 'Nobody could be told of an alarm.');
        }
        await delay(clock, alarmLimits.webhookRetryMs * 2 ** (attempt - 1), this.#closing.signal);
      }
    }
  }
}

/**
 * A hook that POSTs JSON: the change, and a sentence as `text`, which chat programs show. Throws
 * `alarms.webhookNotValid`.
 */
export function webhook(url: string, post: PostJson): AlarmHook {
  const { protocol } = URL.parse(url) ?? {};
  if (protocol !== 'https:' && protocol !== 'http:') throw webhookNotValid('it is no http or https URL');
  return async change => {
    const body = JSON.stringify({ ...change, text: sentenceOf(change) });
    const status = await post(url, body, alarmLimits.webhookTimeoutMs);
    // Of no use to try again what is refused for good; too many requests, and their troubles, pass.
    const isRefused = status >= 400 && status < 500 && status !== 429 && status !== 408;
    if (status >= 300 && !isRefused) throw new Error(`the webhook answered ${status}`);
  };
}

export function sentenceOf({ event, alarm }: AlarmChange): string {
  const { name, subject, message, fix } = alarm;
  if (event === 'cleared') return `Over: ${name} (${subject}).`;
  if (event === 'acknowledged') return `Acknowledged: ${name} (${subject}).`;
  return `Alarm: ${name} (${subject}). ${message} ${fix}`;
}
