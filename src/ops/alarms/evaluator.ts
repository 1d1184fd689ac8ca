/** Looks at the metrics now and then, and raises and clears what the rules say. */
import type { Alarms } from '../../kernel/alarms.ts';
import type { Clock, Timer } from '../../kernel/clock.ts';
import { alarmLimits } from '../limits.ts';
import type { MetricCollector, Sample } from '../metrics/index.ts';
import type { AlarmState } from './alarm-book.ts';
import { type AlarmRule, type Condition, defaultRules } from './rules.ts';

export interface EvaluatorOptions {
  readonly collector: MetricCollector;
  readonly alarms: Alarms;
  readonly clock: Clock;
  /** Those that were raised before this start: they are over as the others are. */
  readonly active?: readonly AlarmState[];
  readonly rules?: readonly AlarmRule[];
}

/** What a rule remembers of one subject. */
interface Memory {
  /** What the counter has grown by since it was first seen, and when; oldest first. */
  readonly points: { readonly atMs: number; readonly grown: number }[];
  lastValue: number;
  /** Since when it is as it is now. */
  isOver: boolean;
  sinceMs: number;
  isRaised: boolean;
}

export class AlarmEvaluator {
  readonly #options: EvaluatorOptions;
  readonly #memories = new Map<AlarmRule, Map<string, Memory>>();
  /** What the counters have grown by that others are compared with. */
  readonly #bases = new Map<AlarmRule, Map<string, Memory>>();
  #series = 0;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: EvaluatorOptions) {
    this.#options = options;
    const nowMs = options.clock.monotonicMs();
    for (const rule of options.rules ?? defaultRules) {
      const raised = (options.active ?? []).filter(({ name, state }) => name === rule.name && state !== 'cleared');
      const memories = raised.map(({ subject }) => {
        const own = subject === backend && rule.per.length === 0 ? '' : subject;
        return [own, { ...newMemory(nowMs), isRaised: true }] as const;
      });
      this.#memories.set(rule, new Map(memories));
    }
  }

  start(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.setTimer(alarmLimits.evaluateMs, () => {
      this.evaluate().then(() => this.start());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  async evaluate(): Promise<void> {
    const samples = Map.groupBy(await this.#options.collector.collect(), ({ name }) => name);
    for (const [rule, memories] of this.#memories) this.#apply(rule, memories, samples);
  }

  #apply(rule: AlarmRule, memories: Map<string, Memory>, samples: Map<string, Sample[]>): void {
    const nowMs = this.#options.clock.monotonicMs();
    const values = valuesOf(rule, rule.metric, samples);
    const judged = isGrowth(rule.when) ? this.#growths(rule, rule.when, memories, values, samples) : undefined;
    for (const [subject, value] of judged ?? ratios(rule, values, samples)) {
      const memory = this.#memoryOf(memories, subject);
      if (memory !== undefined) this.#decide(rule, subject, memory, value, nowMs);
    }
    for (const [subject, memory] of memories) {
      const isSeen = (judged ?? values).has(subject);
      if (!isSeen) this.#decide(rule, subject, memory, undefined, nowMs); // It is gone, and so is what was wrong with it.
      const isIdle = !memory.isRaised && !memory.isOver && !isSeen;
      if (isIdle && memories.delete(subject)) this.#series--;
    }
  }

  /** @param value  undefined: there is nothing to judge, so nothing is wrong */
  #decide(rule: AlarmRule, subject: string, memory: Memory, value: number | undefined, nowMs: number): void {
    const isOver = value !== undefined && isBeyond(rule.when, value);
    if (isOver !== memory.isOver) {
      memory.isOver = isOver;
      memory.sinceMs = nowMs;
    }
    const lastedMs = nowMs - memory.sinceMs;
    const { alarms } = this.#options;
    if (isOver && !memory.isRaised && lastedMs >= rule.forMs) {
      memory.isRaised = true;
      const about = subject === '' ? backend : subject;
      const message = rule.message(about, round(value));
      alarms.raise({ name: rule.name, subject: about, message, fix: rule.fix, facts: { value: round(value) } });
    } else if (!isOver && memory.isRaised && lastedMs >= rule.clearAfterMs) {
      memory.isRaised = false;
      alarms.clear(rule.name, subject === '' ? backend : subject);
    }
  }

  /** By subject, how much counters grew within the time of the rule, as what it judges. */
  #growths(
    rule: AlarmRule,
    when: Growth,
    memories: Map<string, Memory>,
    values: Map<string, number>,
    samples: Map<string, Sample[]>,
  ): Map<string, number> {
    const grown = this.#grown(memories, values, when.withinMs);
    if (when.type === 'grew') return grown;
    if (when.type === 'shares') return shares(grown, when.eventsMin);
    const bases = this.#bases.get(rule) ?? new Map<string, Memory>();
    this.#bases.set(rule, bases);
    const all = this.#grown(bases, valuesOf(rule, when.of, samples), when.withinMs);
    return new Map([...grown].map(([subject, part]) => [subject, partOf(part, all.get(subject) ?? 0, when.eventsMin)]));
  }

  #grown(memories: Map<string, Memory>, values: Map<string, number>, withinMs: number): Map<string, number> {
    const nowMs = this.#options.clock.monotonicMs();
    const grown = new Map<string, number>();
    for (const [subject, value] of values) {
      const memory = this.#memoryOf(memories, subject);
      if (memory === undefined) continue;
      // A counter that fell has begun again: its thread was started again.
      const by = value >= memory.lastValue ? value - memory.lastValue : value;
      memory.lastValue = value;
      const { points } = memory;
      points.push({ atMs: nowMs, grown: (points.at(-1)?.grown ?? 0) + by });
      while (points.length > 1 && points[1].atMs <= nowMs - withinMs) points.shift();
      // Counters begin at zero with their thread, and so does this.
      const base = points[0].atMs <= nowMs - withinMs ? points[0].grown : 0;
      grown.set(subject, points[points.length - 1].grown - base);
    }
    return grown;
  }

  #memoryOf(memories: Map<string, Memory>, subject: string): Memory | undefined {
    let memory = memories.get(subject);
    if (memory === undefined) {
      if (this.#series >= alarmLimits.seriesMax) return undefined;
      this.#series++;
      memory = newMemory(this.#options.clock.monotonicMs());
      memories.set(subject, memory);
    }
    return memory;
  }
}

type Growth = Extract<Condition, { withinMs: number }>;

const backend = 'backend';

function newMemory(nowMs: number): Memory {
  return { points: [], lastValue: 0, isOver: false, sinceMs: nowMs, isRaised: false };
}

function isGrowth(when: Condition): when is Growth {
  return 'withinMs' in when;
}

function isBeyond(when: Condition, value: number): boolean {
  switch (when.type) {
    case 'above':
      return value > when.threshold;
    case 'below':
      return value < when.threshold;
    case 'grew':
      return value >= when.by;
    default:
      return value > when.above;
  }
}

/** By subject: of counters the sum, of gauges the greatest. */
function valuesOf({ per, where = {} }: AlarmRule, metric: string, samples: Map<string, Sample[]>): Map<string, number> {
  const values = new Map<string, number>();
  for (const { kind, labels, value } of samples.get(metric) ?? []) {
    if (kind === 'histogram' || Object.entries(where).some(([name, wanted]) => labels[name] !== wanted)) continue;
    const subject = per.map(name => labels[name] ?? '').join(' ');
    const known = values.get(subject);
    if (known === undefined) values.set(subject, value);
    else values.set(subject, kind === 'counter' ? known + value : Math.max(known, value));
  }
  return values;
}

/** What is judged of gauges: themselves, or as a part of another one. */
function ratios(rule: AlarmRule, values: Map<string, number>, samples: Map<string, Sample[]>): Map<string, number> {
  const of = 'of' in rule.when ? rule.when.of : undefined;
  if (of === undefined) return values;
  const wholes = valuesOf(rule, of, samples);
  const parts = [...values].flatMap(([subject, value]) => {
    const whole = wholes.get(subject) ?? 0;
    return whole > 0 ? [[subject, value / whole] as const] : [];
  });
  return new Map(parts);
}

function partOf(part: number, whole: number, eventsMin: number): number {
  return whole < eventsMin ? 0 : part / whole;
}

/** 1: as much as everybody's. */
function shares(grown: Map<string, number>, eventsMin: number): Map<string, number> {
  let all = 0;
  for (const by of grown.values()) all += by;
  if (all < eventsMin || grown.size < 2) return new Map([...grown.keys()].map(subject => [subject, 0]));
  return new Map([...grown].map(([subject, by]) => [subject, (by / all) * grown.size]));
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
