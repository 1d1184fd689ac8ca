/**
 * What needs somebody's attention, and whether it still does: one alarm for each name and subject, counted while it lasts,
 * remembered over a restart. Whoever listens is told when one is raised or over, not of each time it is raised again.
 */
import type { Alarm, Alarms } from '../../kernel/alarms.ts';
import type { AppendFiles } from '../../kernel/append-files.ts';
import type { Clock, Timer } from '../../kernel/clock.ts';
import { joinPath } from '../../kernel/files.ts';
import { alarmNotFound } from '../errors.ts';
import { alarmLimits } from '../limits.ts';
import { factsText } from '../logs/facts-text.ts';
import { Redactor } from '../logs/redactor.ts';

export interface AlarmState extends Alarm {
  /** `acknowledged`: somebody knows of it, and it lasts. */
  readonly state: 'raised' | 'acknowledged' | 'cleared';
  /** How often it was raised since it was raised first. */
  readonly count: number;
  readonly raisedAtMs: number;
  /** Raised again last. */
  readonly lastAtMs: number;
  readonly acknowledgedAtMs?: number;
  readonly clearedAtMs?: number;
}

export interface AlarmChange {
  readonly event: 'raised' | 'acknowledged' | 'cleared';
  readonly alarm: AlarmState;
}

/** What the operator does about alarms. */
export interface AlarmControl {
  acknowledge(name: string, subject: string): void;
  clear(name: string, subject: string): void;
}

export interface AlarmBookOptions {
  readonly files: AppendFiles;
  readonly directory: string;
  readonly clock: Clock;
  /** By name: over by itself when it was not raised again for so long. Others are cleared by who raised them. */
  readonly quietMs?: Readonly<Record<string, number>>;
  readonly redactKeys?: readonly string[];
}

interface Saved {
  readonly active: readonly AlarmState[];
  /** The newest first. */
  readonly cleared: readonly AlarmState[];
}

const fileName = 'alarms.json';

export class AlarmBook implements Alarms, AlarmControl {
  readonly #options: AlarmBookOptions;
  readonly #redactor: Redactor;
  readonly #active = new Map<string, AlarmState>();
  #cleared: AlarmState[];
  readonly #listeners = new Set<(change: AlarmChange) => void>();
  #saving: Timer | undefined;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #isChanged = false;
  #closed = false;
  /** Those there was no room for. */
  dropped = 0;

  constructor(options: AlarmBookOptions) {
    this.#options = options;
    this.#redactor = new Redactor(options.redactKeys);
    const { active, cleared } = readSaved(options);
    for (const alarm of active) this.#active.set(keyOf(alarm.name, alarm.subject), alarm);
    this.#cleared = [...cleared];
  }

  /** Returns how to stop it. */
  onChange(listener: (change: AlarmChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Those that last, the newest first, then those that are over. */
  list(): AlarmState[] {
    const active = [...this.#active.values()].sort((left, right) => right.raisedAtMs - left.raisedAtMs);
    return [...active, ...this.#cleared];
  }

  /** @param times  how often, when somebody has counted before */
  raise(alarm: Alarm, times = 1): void {
    const told = this.#bounded(alarm);
    const key = keyOf(told.name, told.subject);
    const known = this.#active.get(key);
    const nowMs = this.#options.clock.nowMs();
    if (known !== undefined) {
      this.#active.set(key, { ...known, ...told, count: known.count + times, lastAtMs: nowMs });
      this.#changed();
      return;
    }
    if (this.#active.size >= alarmLimits.alarmsMax) {
      this.dropped++;
      return;
    }
    const state: AlarmState = { ...told, state: 'raised', count: times, raisedAtMs: nowMs, lastAtMs: nowMs };
    this.#active.set(key, state);
    this.#tell({ event: 'raised', alarm: state });
  }

  clear(name: string, subject: string): void {
    const key = keyOf(name, bounded(subject, alarmLimits.subjectCharactersMax));
    const known = this.#active.get(key);
    if (known === undefined) return;
    this.#active.delete(key);
    const alarm: AlarmState = { ...known, state: 'cleared', clearedAtMs: this.#options.clock.nowMs() };
    this.#cleared = [alarm, ...this.#cleared].slice(0, alarmLimits.clearedMax);
    this.#tell({ event: 'cleared', alarm });
  }

  /** Throws `alarms.notFound`. */
  acknowledge(name: string, subject: string): void {
    const key = keyOf(name, bounded(subject, alarmLimits.subjectCharactersMax));
    const known = this.#active.get(key);
    if (known === undefined) throw alarmNotFound(name, subject);
    if (known.state === 'acknowledged') return;
    const alarm: AlarmState = { ...known, state: 'acknowledged', acknowledgedAtMs: this.#options.clock.nowMs() };
    this.#active.set(key, alarm);
    this.#tell({ event: 'acknowledged', alarm });
  }

  /** Ends alarms of which nothing was heard for as long as `quietMs` says. To be called now and then. */
  clearQuiet(): void {
    const { clock, quietMs = {} } = this.#options;
    for (const { name, subject, lastAtMs } of [...this.#active.values()]) {
      const quiet = Object.hasOwn(quietMs, name) ? quietMs[name] : Number.POSITIVE_INFINITY;
      if (clock.nowMs() - lastAtMs >= quiet) this.clear(name, subject);
    }
  }

  close(): void {
    this.#closed = true;
    this.#saving?.cancel();
    if (this.#isChanged) this.#save();
  }

  #bounded({ name, subject, message, fix, facts = {} }: Alarm): Alarm {
    const text = factsText(Object.fromEntries(Object.entries(facts).slice(0, alarmLimits.factsMax)), this.#redactor);
    const told: Alarm = {
      name: bounded(name, alarmLimits.subjectCharactersMax),
      subject: bounded(subject, alarmLimits.subjectCharactersMax),
      message: this.#redactor.text(message, alarmLimits.textCharactersMax),
      fix: this.#redactor.text(fix, alarmLimits.textCharactersMax),
    };
    return text === undefined ? told : { ...told, facts: JSON.parse(text) };
  }

  #tell(change: AlarmChange): void {
    this.#changed();
    for (const listener of this.#listeners) listener(change);
  }

  /** The first change is on disk at once, the next ones together a little later. */
  #changed(): void {
    this.#isChanged = true;
    if (this.#saving !== undefined) return;
    const waitMs = this.#savedAtMs + alarmLimits.saveMs - this.#options.clock.monotonicMs();
    if (waitMs <= 0) return this.#save();
    this.#saveLater(waitMs);
  }

  #saveLater(waitMs: number): void {
    this.#saving = this.#options.clock.setTimer(waitMs, () => {
      this.#saving = undefined;
      this.#save();
    });
  }

  #save(): void {
    this.#savedAtMs = this.#options.clock.monotonicMs();
    this.#isChanged = false;
    const saved: Saved = { active: [...this.#active.values()], cleared: this.#cleared };
    try {
      this.#options.files.makeDirectory(this.#options.directory);
      this.#options.files.replace(pathIn(this.#options.directory), Buffer.from(JSON.stringify(saved)));
    } catch {
      // A full disk has an alarm of its own, and the alarms are known here and told all the same; saved when it has room.
      this.#isChanged = true;
      if (!this.#closed) this.#saveLater(alarmLimits.saveMs);
    }
  }
}

/** The alarms of a data directory as they were saved last: for other threads, and when nobody runs. */
export function readAlarms(place: Pick<AlarmBookOptions, 'files' | 'directory'>): AlarmState[] {
  const { active, cleared } = readSaved(place);
  return [...active].sort((left, right) => right.raisedAtMs - left.raisedAtMs).concat(cleared);
}

function readSaved({ files, directory }: Pick<AlarmBookOptions, 'files' | 'directory'>): Saved {
  const none: Saved = { active: [], cleared: [] };
  try {
    const bytes = files.readAll(pathIn(directory));
    if (bytes === undefined) return none;
    const saved: Partial<Saved> = JSON.parse(bytes.toString());
    return { active: alarmsIn(saved.active), cleared: alarmsIn(saved.cleared) };
  } catch {
    return none; // What a power cut has left of it: rules raise again what still is.
  }
}

function alarmsIn(list: unknown): AlarmState[] {
  if (!Array.isArray(list)) return [];
  return list.filter(
    alarm => typeof alarm?.name === 'string' && typeof alarm.subject === 'string' && Number.isFinite(alarm.raisedAtMs),
  );
}

function pathIn(directory: string): string {
  return joinPath(directory, fileName);
}

function keyOf(name: string, subject: string): string {
  return `${name}\u0000${subject}`;
}

function bounded(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 1)}…`;
}
