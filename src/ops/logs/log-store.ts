/**
 * Where the lines of one thread go: into the segments of a channel, at once, so that a handler which then loops for ever
 * or ends its thread has left them behind. Each thread writes files of its own; readers merge them. When the disk takes
 * no lines they are dropped and counted, which is said once, and nothing else changes: a log never takes its app down.
 */
import type { AppendFiles } from '../../kernel/append-files.ts';
import { type Caller, currentCaller } from '../../kernel/callers.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Counters } from '../../kernel/counters.ts';
import { messageOf } from '../../kernel/errors.ts';
import { joinPath } from '../../kernel/files.ts';
import {
  type AppLog,
  type ChannelRetention,
  type Log,
  type LogLevel,
  type LogMethod,
  logLevels,
  RepetitionBound,
} from '../../kernel/log.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import { channelNotValid } from '../errors.ts';
import { logLimits } from '../limits.ts';
import { LevelRules } from './level-rules.ts';
import { encodeLine } from './line.ts';
import { Redactor } from './redactor.ts';
import { type Retention, SegmentWriter } from './segment-writer.ts';

export interface LogStoreOptions {
  readonly files: AppendFiles;
  readonly directory: string;
  /** The thread, e.g. `app`: nobody else writes under this name. */
  readonly writer: string;
  readonly clock: Clock;
  /** Names of facts that are secret, beside those that everybody's are. */
  readonly redactKeys?: readonly string[];
  /** By channel; a named one may also say it in the code. */
  readonly retention?: Readonly<Record<string, ChannelRetention>>;
  /** Shows urgent lines at once, e.g. on the terminal. */
  readonly show?: { readonly from: LogLevel; readonly line: (line: string, message: string) => void };
}

/** How a channel is written at the moment. */
interface Channel {
  readonly name: string;
  readonly bound: RepetitionBound;
  readonly bucket: TokenBucket;
  retention: Retention;
  writer?: SegmentWriter;
  /** The disk is tried again from here on. */
  retryAtMs: number;
  dropped: number;
}

export class LogStore {
  /** The platform's own lines. */
  readonly system: Log;
  readonly app: AppLog;
  readonly levels: LevelRules;
  /** Lines by channel and what became of them, e.g. `app.written`, `app.dropped.disk`. */
  readonly counters = new Counters();
  readonly #options: LogStoreOptions;
  readonly #redactor: Redactor;
  readonly #system: Channel;
  readonly #channels = new Map<string, Channel>();
  readonly #named = new Map<string, AppLog>();
  readonly #listeners = new Set<() => void>();
  #isClosed = false;
  #lastAtMs = Number.NaN;
  #order = 0;

  constructor(options: LogStoreOptions) {
    this.#options = options;
    this.#redactor = new Redactor(options.redactKeys);
    this.levels = new LevelRules(options);
    const system = this.#channel('system', undefined, logLimits.systemLinesPerSecondMax);
    this.#system = system;
    const write = (level: LogLevel) => (facts: object, message: string) =>
      this.#write(system, level, facts, message, currentCaller());
    this.system = { info: write('info'), warn: write('warn'), error: write('error') };
    this.app = this.#appLog(this.#channel('app', undefined, logLimits.appLinesPerSecondMax));
  }

  /** Called whenever a line was added. Returns how to stop it. */
  onWritten(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** As `system.error` and the like, on behalf of another than the running caller. False: it was left out. */
  writeFor(caller: Caller, level: LogLevel, facts: object, message: string): boolean {
    return this.#write(this.#system, level, facts, message, caller);
  }

  /** Removes what is too old, also when nothing is written any more. To be called every few minutes. */
  retain(): void {
    for (const channel of this.#channels.values()) this.#retain(channel);
  }

  close(): void {
    this.#isClosed = true;
    for (const channel of this.#channels.values()) this.#closeWriter(channel);
  }

  #appLog(channel: Channel): AppLog {
    const method = (level: LogLevel): LogMethod => {
      return (first: object | string, message?: string) => {
        const facts = typeof first === 'string' ? {} : first;
        this.#write(channel, level, facts, typeof first === 'string' ? first : (message ?? ''), currentCaller());
      };
    };
    return {
      debug: method('debug'),
      info: method('info'),
      warn: method('warn'),
      error: method('error'),
      channel: (name, retention) => this.#namedLog(name, retention),
    };
  }

  #namedLog(name: string, retention: ChannelRetention | undefined): AppLog {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(name) || name === 'system' || name === 'app')
      throw channelNotValid(String(name));
    if (this.#named.size >= logLimits.channelsMax) {
      this.system.error(
        { channel: name, channelsMax: logLimits.channelsMax },
        'Too many channels: its lines go to app.',
      );
      return this.app;
    }
    const log = this.#appLog(this.#channel(name, retention, logLimits.appLinesPerSecondMax));
    this.#named.set(name, log);
    return log;
  }

  #channel(name: string, declared: ChannelRetention | undefined, perSecondMax: number): Channel {
    const { clock, retention } = this.#options;
    const channel = {
      name,
      bound: new RepetitionBound(perSecondMax, clock),
      bucket: new TokenBucket(logLimits.channelLinesPerSecondMax, clock.monotonicMs()),
      retention: retentionOf(name, { ...declared, ...retention?.[name] }),
      retryAtMs: Number.NEGATIVE_INFINITY,
      dropped: 0,
    };
    this.#channels.set(name, channel);
    return channel;
  }

  /** False: the line was left out. */
  #write(channel: Channel, level: LogLevel, facts: object, message: string, caller: Caller | undefined): boolean {
    if (!this.levels.keeps(level, 'info', channel.name === 'system' ? undefined : caller)) return false;
    try {
      const { clock } = this.#options;
      const { functionName } = caller ?? {}; // One that floods the log hides nothing that others say.
      const leftOut = channel.bound.admit(functionName === undefined ? message : `${functionName} ${message}`);
      if (leftOut === undefined || !channel.bucket.take(clock.monotonicMs())) {
        this.counters.add(`${channel.name}.dropped.rate`);
        return false;
      }
      const told = leftOut > 0 ? { ...(facts instanceof Error ? { error: facts } : facts), leftOut } : facts;
      const atMs = clock.nowMs();
      const entry = { atMs, order: this.#orderAt(atMs), level, channel: channel.name, caller, facts: told, message };
      const line = encodeLine(entry, this.#redactor);
      this.#show(level, line, message);
      return this.#store(channel, line, atMs, level, caller);
    } catch (error) {
      this.counters.add(`${channel.name}.dropped.failed`); // Ours to mend, and no reason to fail a handler.
      this.#say(channel, `A line could not be logged: ${messageOf(error)}`);
      return false;
    }
  }

  /** Across all channels, so that they can be read together as they were written. */
  #orderAt(atMs: number): number {
    this.#order = atMs === this.#lastAtMs ? this.#order + 1 : 0;
    this.#lastAtMs = atMs;
    return this.#order;
  }

  #show(level: LogLevel, line: string, message: string): void {
    const { show } = this.#options;
    if (show === undefined || logLevels.indexOf(level) < logLevels.indexOf(show.from)) return;
    try {
      show.line(line, message);
    } catch {
      // Nobody reads standard error any more: the line is stored all the same.
    }
  }

  /** What cannot be stored, for it is about storing. */
  #say({ name: channel }: Channel, message: string): void {
    this.#show('error', JSON.stringify({ level: 'error', channel, message }), message);
  }

  #store(channel: Channel, line: string, atMs: number, level: LogLevel, caller: Caller | undefined): boolean {
    if (this.#isClosed) return false;
    const nowMs = this.#options.clock.monotonicMs();
    try {
      if (nowMs < channel.retryAtMs) return this.#drop(channel);
      channel.writer ??= this.#openWriter(channel);
      channel.writer.append(line, atMs, level, caller ?? {});
    } catch (error) {
      this.#disable(channel, nowMs, error);
      return this.#drop(channel);
    }
    this.counters.add(`${channel.name}.written`);
    for (const listener of this.#listeners) listener();
    if (channel.dropped > 0) this.#tellDropped(channel);
    return true;
  }

  #openWriter(channel: Channel): SegmentWriter {
    const { files, directory, writer, clock } = this.#options;
    const own = joinPath(directory, channel.name);
    return new SegmentWriter({ files, directory: own, writer, retention: channel.retention, nowMs: clock.nowMs() });
  }

  #drop(channel: Channel): false {
    channel.dropped++;
    this.counters.add(`${channel.name}.dropped.disk`);
    return false;
  }

  #disable(channel: Channel, nowMs: number, error: unknown): void {
    this.#closeWriter(channel);
    channel.retryAtMs = nowMs + logLimits.retryMs;
    if (channel.dropped > 0) return; // Said already.
    const message = `Lines of the channel ${channel.name} cannot be stored, and are dropped until they can: ${messageOf(error)}`;
    this.#say(channel, message);
  }

  #tellDropped(channel: Channel): void {
    const { dropped } = channel;
    channel.dropped = 0;
    this.system.warn({ channel: channel.name, dropped }, 'The disk takes log lines again; some were dropped.');
  }

  #closeWriter(channel: Channel): void {
    try {
      channel.writer?.close();
    } catch {
      // Its files are closed already, or of no use.
    }
    channel.writer = undefined;
  }

  #retain(channel: Channel): void {
    const { files, directory, clock } = this.#options;
    try {
      // Nothing may have been written since the start: what is there grows old all the same.
      const isThere = files.list(joinPath(directory, channel.name)).length > 0;
      if (isThere && clock.monotonicMs() >= channel.retryAtMs) channel.writer ??= this.#openWriter(channel);
      channel.writer?.retain(clock.nowMs());
    } catch (error) {
      this.#disable(channel, this.#options.clock.monotonicMs(), error);
    }
  }
}

function retentionOf(channel: string, { days, megabytesMax }: ChannelRetention): Retention {
  const { system, app, named } = logLimits.retentionBytes;
  const usual = channel === 'system' ? system : channel === 'app' ? app : named;
  return {
    ms: days !== undefined && days > 0 ? days * 24 * 3_600_000 : logLimits.retentionMs,
    bytesMax: megabytesMax !== undefined && megabytesMax > 0 ? megabytesMax * 1024 * 1024 : usual,
  };
}
