// What the command line sets for every benchmark, checked once.
import { statSync } from 'node:fs';
import { BenchError } from './errors.ts';
import { ingestLoads, type Load } from './load.ts';
import type { Duration } from './measure.ts';
import { payloadBytesMin } from './packets.ts';

const payloadBytesMax = 64 * 1024;

export interface Settings {
  loads: readonly Load[];
  rounds: number;
  duration: Duration;
  payloadBytes: number;
  dataRoot: string;
}

/** As commander hands them over. */
export interface CommandOptions {
  rounds: string;
  seconds: string;
  payload: string;
  dataRoot: string;
  only?: string[];
  quick?: boolean;
  json?: boolean;
}

export function readSettings(options: CommandOptions): Settings {
  const payloadBytes = readNumber('--payload', options.payload, { min: payloadBytesMin, max: payloadBytesMax });
  const rounds = readNumber('--rounds', options.rounds, { min: 1, max: 100 });
  const seconds = readNumber('--seconds', options.seconds, { min: 0.1, max: 600 });
  const quick = options.quick === true;
  return {
    loads: options.only === undefined ? ingestLoads : options.only.map(findLoad),
    rounds: quick ? 1 : Math.floor(rounds),
    duration: quick ? { warmUpSeconds: 0.3, seconds: 0.7 } : { warmUpSeconds: 1, seconds },
    payloadBytes: Math.floor(payloadBytes),
    dataRoot: existingFolder(options.dataRoot),
  };
}

/** What is going on, for the person who waits; stdout is for the result. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

function findLoad(name: string): Load {
  const load = ingestLoads.find(candidate => candidate.name === name);
  if (load !== undefined) return load;
  throw new BenchError(`There is no load ${name}.`, `Choose from ${ingestLoads.map(each => each.name).join(', ')}.`);
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
