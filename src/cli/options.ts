import { type Command, InvalidArgumentError, Option } from 'commander';

/** Options that several commands share, each also an environment variable. */
export const appOption = () =>
  new Option('--app <path>', 'the app: a folder with app.ts, or a file').default('apps/speaker').env('MIMAMORI_APP');

export const dataOption = () =>
  new Option('--data <dir>', 'where everything is stored').default('./data').env('MIMAMORI_DATA');

export const jsonOption = () => new Option('--json', 'print JSON, one object a line').env('MIMAMORI_JSON');

/** Of a command below another that has options of the same names: what was given counts, wherever it stands. */
export function givenOptions<Options>(command: Command): Options {
  const above = command.parent;
  const options: Record<string, unknown> = { ...above?.opts(), ...command.opts() };
  for (const name of Object.keys(command.opts())) {
    const isGivenAbove = ![undefined, 'default'].includes(above?.getOptionValueSource(name));
    if (command.getOptionValueSource(name) === 'default' && isGivenAbove) options[name] = above?.getOptionValue(name);
  }
  return options as Options; // As the command declares them.
}

export function port(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > 65_535) throw new InvalidArgumentError('A port is a number from 0 to 65535.');
  return number;
}

export function positive(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('Give a whole number from 1.');
  return number;
}

export function shardCount(text: string): number {
  const count = positive(text);
  if (count > shardsMax) throw new InvalidArgumentError(`Give at most ${shardsMax}.`);
  return count;
}

const shardsMax = 64; // ours: each reader of a shard passes by the records of the others

export function milliseconds(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > millisecondsMax) {
    throw new InvalidArgumentError(`Give a whole number of milliseconds, up to ${millisecondsMax}.`);
  }
  return number;
}

const millisecondsMax = 3_600_000;

/** `30s`, `10m`, `2h`, `1d`. */
export function durationMs(text: string): number {
  const match = /^(\d{1,6})(ms|s|m|h|d)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Give a duration such as 30s, 10m, 2h or 1d.');
  return Number(match[1]) * unitMs[match[2]];
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 24 * 3_600_000 };

/** A duration means so long ago. */
export function momentMs(text: string): number {
  if (/^\d+[a-z]+$/.test(text)) return Date.now() - durationMs(text);
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw new InvalidArgumentError('Give a time such as 10m (ago) or 2026-01-31T12:00:00Z.');
  return atMs;
}
