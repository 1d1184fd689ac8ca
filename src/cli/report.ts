import type { Announcement } from '../app/index.ts';
import { factsOf } from '../kernel/errors.ts';
import { sentenceOf } from '../ops/alarms/notifier.ts';
import type { AlarmChange } from '../ops/index.ts';

/** What `start` tells its reader, in lines for a person or in JSON for a program. */
export interface Reporter {
  started(urls: Record<string, string>, headline?: string): void;
  announce(announcement: Announcement): void;
  summary(counters: Record<string, number>): void;
  alarm(change: AlarmChange): void;
  note(text: string): void;
  failed(error: unknown): void;
  stopping(): void;
  stopped(): void;
}

export function reporterFor({ json }: { json: boolean }): Reporter {
  const latencies = new Latencies();
  let lastReceived = 0;
  let lastAtMs = performance.now();
  const measure = (counters: Record<string, number>) => {
    const nowMs = performance.now();
    const received = counters['ingest.durable'] ?? 0;
    const perSecond = ((received - lastReceived) * 1_000) / (nowMs - lastAtMs);
    lastReceived = received;
    lastAtMs = nowMs;
    return { devices: counters['mqtt.connections'] ?? 0, messagesPerSecond: round(perSecond), ...latencies.take() };
  };
  return json ? jsonReporter(latencies, measure) : textReporter(latencies, measure);
}

type Measure = (counters: Record<string, number>) => {
  devices: number;
  messagesPerSecond: number;
  p50Ms?: number;
  p99Ms?: number;
};

function jsonReporter(latencies: Latencies, measure: Measure): Reporter {
  const print = (line: object) => console.log(JSON.stringify(line));
  return {
    started: urls => print({ event: 'started', urls }),
    announce: announcement => {
      latencies.add(announcement.latencyMs);
      print({ event: announcement.type, ...announcement });
    },
    summary: counters => print({ event: 'summary', ...measure(counters) }),
    alarm: ({ event, alarm }) => print({ event: 'alarm', change: event, alarm }),
    note: text => print({ event: 'note', text }),
    failed: error => print({ event: 'error', ...factsOf(error) }),
    stopping: () => print({ event: 'stopping' }),
    stopped: () => print({ event: 'stopped' }),
  };
}

function textReporter(latencies: Latencies, measure: Measure): Reporter {
  const print = (line: string) => console.log(line);
  return {
    started: (urls, headline = 'Mimamori is watching over your devices.') => {
      print(`${headline}\n`);
      const width = Math.max(...Object.keys(urls).map(name => name.length));
      for (const [name, url] of Object.entries(urls)) print(`  ${name.padEnd(width)} ${url}`);
      print('\nCtrl-C stops it.\n');
    },
    announce: announcement => {
      latencies.add(announcement.latencyMs);
      print(lineOf(announcement));
    },
    summary: counters => {
      const { devices, messagesPerSecond, p50Ms, p99Ms } = measure(counters);
      const latency = p50Ms === undefined ? '' : ` · p50 ${p50Ms} ms, p99 ${p99Ms} ms`; // Of what an app announces with one.
      print(`── ${devices} devices · ${messagesPerSecond} messages/s${latency}`);
    },
    alarm: change => print(`!! ${printable(sentenceOf(change), 1_000)}`),
    note: print,
    failed: error => {
      const { code, message, fix } = factsOf(error);
      console.error(`mimamori: ${message}\n  ${fix}  [${code}]`);
    },
    stopping: () => print('\nStopping: everything received is being stored.'),
    stopped: () => print('Stopped.'),
  };
}

/** One line: when, what, where, the rest of the facts, and how long it took. */
function lineOf({ type, at, name, text, detail, latencyMs }: Announcement): string {
  const time = typeof at === 'string' && !Number.isNaN(Date.parse(at)) ? new Date(at) : new Date();
  const said = text === undefined ? '' : `“${printable(text)}”`;
  const why = detail === undefined ? '' : ` (${printable(detail)})`;
  const took = typeof latencyMs === 'number' ? `  ${round(latencyMs)} ms` : '';
  return `${time.toLocaleTimeString('en-GB')}  ${type.padEnd(7)} ${printable(name ?? '').padEnd(14)} ${said}${why}${took}`;
}

/** Text from outside, without anything that could steer a terminal or hide: control, format and separator characters. */
export function printable(value: string | number | boolean, charactersMax = 200): string {
  return String(value)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '·')
    .slice(0, charactersMax);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Latencies since the last summary, a bounded sample of the newest. */
class Latencies {
  #values: number[] = [];

  add(value: unknown): void {
    if (typeof value !== 'number') return;
    if (this.#values.length >= 10_000) this.#values.shift();
    this.#values.push(value);
  }

  take(): { p50Ms?: number; p99Ms?: number } {
    const sorted = this.#values.sort((left, right) => left - right);
    this.#values = [];
    if (sorted.length === 0) return {};
    const at = (share: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
    return { p50Ms: at(0.5), p99Ms: at(0.99) };
  }
}
