// What the command line sets, checked once; and what a benchmark says of itself so that it can be set.
import { statSync } from 'node:fs';
import { BenchError } from './errors.ts';
import type { Duration } from './measure.ts';
import { payloadBytesMin } from './packets.ts';
import type { Report } from './report.ts';

const payloadBytesMax = 64 * 1024;
export const peerNames = ['mosquitto', 'nats', 'aedes'];

export interface Benchmark {
  name: string;
  summary: string;
  loads: readonly { name: string }[];
  /** Whom it can be measured beside; absent: the brokers. */
  peers?: readonly string[];
  counts: readonly CountFlag[];
  run: (settings: Settings) => Promise<Report>;
}

/** A number that only one benchmark has. */
export interface CountFlag {
  name: string; // as commander makes it of the flag: `--in-flight <count>` is inFlight
  flag: string;
  what: string;
  usual: number;
  quick: number; // with --quick
  min: number;
  max: number;
}

export interface Settings {
  only: readonly string[]; // names of loads
  peers: readonly string[];
  subject: string;
  rounds: number;
  duration: Duration;
  payloadBytes: number;
  dataRoot: string;
  counts: Readonly<Record<string, number>>; // each of the benchmark's own
}

/** As commander hands them over. */
export interface CommandOptions {
  rounds: string;
  seconds: string;
  payload: string;
  dataRoot: string;
  peers: string[];
  subject: string;
  only?: string[];
  quick?: boolean;
  json?: boolean;
  [count: string]: unknown;
}

export function readSettings(options: CommandOptions, { loads, counts, peers = peerNames }: Benchmark): Settings {
  const payloadBytes = readNumber('--payload', options.payload, { min: payloadBytesMin, max: payloadBytesMax });
  const rounds = readNumber('--rounds', options.rounds, { min: 1, max: 100 });
  const seconds = readNumber('--seconds', options.seconds, { min: 0.1, max: 600 });
  const quick = options.quick === true;
  const names = loads.map(load => load.name);
  return {
    only: options.only === undefined ? names : options.only.map(name => oneOf('load', name, names)),
    peers: readPeers(options.peers, peers),
    subject: options.subject,
    rounds: quick ? 1 : Math.floor(rounds),
    duration: quick ? { warmUpSeconds: 0.3, seconds: 0.7 } : { warmUpSeconds: 1, seconds },
    payloadBytes: Math.floor(payloadBytes),
    dataRoot: existingFolder(options.dataRoot),
    counts: Object.fromEntries(counts.map(count => [count.name, readCount(count, options[count.name], quick)])),
  };
}

/** What is going on, for the person who waits; stdout is for the result. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Those of `loads` that were asked for. */
export function chooseLoads<Load extends { name: string }>(loads: readonly Load[], { only }: Settings): Load[] {
  return loads.filter(load => only.includes(load.name));
}

/** What a report says of the settings. */
export function settingsOf({ rounds, duration, payloadBytes, counts }: Settings): Record<string, number> {
  return { rounds, ...duration, payloadBytes, ...counts };
}

function readPeers(names: readonly string[], known: readonly string[]): readonly string[] {
  if (names.includes('all')) return known;
  return names.filter(name => name !== 'none').map(name => oneOf('peer', name, known));
}

function readCount({ flag, usual, quick, ...range }: CountFlag, text: unknown, isQuick: boolean): number {
  if (text === undefined) return isQuick ? quick : usual;
  return Math.floor(readNumber(flag.split(' ')[0], String(text), range));
}

function oneOf(what: string, name: string, names: readonly string[]): string {
  if (names.includes(name)) return name;
  throw new BenchError(`There is no ${what} ${name}.`, `Choose from ${names.join(', ')}.`);
}

function readNumber(flag: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = Number(text);
  if (value >= min && value <= max) return value;
  throw new BenchError(`${flag} ${text} cannot be used.`, `Give a number from ${min} to ${max}.`);
}

function existingFolder(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path;
  throw new BenchError(`--data-root ${path} is not a folder.`, 'Give an existing folder on the disk to be measured.');
}
