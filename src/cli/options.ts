import { InvalidArgumentError, Option } from 'commander';

/** Options that several commands share, each also an environment variable. */
export const appOption = () =>
  new Option('--app <path>', 'the app: a folder with app.ts, or a file').default('apps/speaker').env('MIMAMORI_APP');

export const dataOption = () =>
  new Option('--data <dir>', 'where everything is stored').default('./data').env('MIMAMORI_DATA');

export const jsonOption = () => new Option('--json', 'print JSON, one object a line').env('MIMAMORI_JSON');

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

export function milliseconds(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > millisecondsMax) {
    throw new InvalidArgumentError(`Give a whole number of milliseconds, up to ${millisecondsMax}.`);
  }
  return number;
}

const millisecondsMax = 3_600_000;
