import { Command, Option } from 'commander';
import type { CapacityReport } from '../app/index.ts';
import { capacityPath, loadSigningKey, OperatorTokens } from '../http/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { MimamoriError, messageOf } from '../kernel/errors.ts';
import { systemFiles } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { readAddress } from '../local/index.ts';
import { capacityText } from './capacity-table.ts';
import { dataOption, jsonOption, positive } from './options.ts';

interface CapacityOptions {
  readonly data: string;
  readonly url?: string;
  readonly top: number;
  readonly json?: true;
}

/** Asks a running backend. Who can read its data directory is its operator. */
export function capacityCommand(): Command {
  return new Command('capacity')
    .description('Print what a running app uses of its table: by access pattern and function, hot keys, N+1 findings.')
    .addOption(dataOption())
    .addOption(new Option('--url <url>', 'where its API is; default: as the data directory says'))
    .addOption(new Option('--top <n>', 'so many lines of each list').default(20).argParser(positive))
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx mimamori capacity --data ./data --top 5')
    .action(async (options: CapacityOptions) => {
      const report = await ask(options);
      if (options.json) console.log(JSON.stringify(report));
      else process.stdout.write(capacityText(report, options.top));
    });
}

async function ask({ data, url, top }: CapacityOptions): Promise<CapacityReport> {
  const address = url ?? (await readAddress(systemFiles, data));
  if (address === undefined || !(await systemFiles.list(data)).includes('signing-key')) throw notRunning(data);
  const key = await loadSigningKey(systemFiles, data, systemRandom);
  const token = await new OperatorTokens(key, systemClock).issue();
  let answer: Response;
  try {
    const target = new URL(`${capacityPath}?top=${top}`, address);
    answer = await fetch(target, {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
  } catch (cause) {
    throw notAnswering(address, cause);
  }
  const body: unknown = await answer.json().catch(() => undefined);
  if (answer.ok && body !== undefined) return body as CapacityReport; // Our own route's.
  const { code, detail, fix } = (body ?? {}) as Partial<Record<'code' | 'detail' | 'fix', unknown>>; // A problem, if any.
  if (typeof code !== 'string') throw notAnswering(address, new Error(`status ${answer.status}`));
  throw new MimamoriError({ code, message: String(detail), fix: String(fix) });
}

const notRunning = (data: string) =>
  new MimamoriError({
    code: 'capacity.notRunning',
    message: `No backend runs on ${data}.`,
    fix: 'Start one, or give its folder with --data; what was used is known only while it runs.',
  });

const notAnswering = (address: string, cause: unknown) =>
  new MimamoriError({
    code: 'capacity.notAnswering',
    message: `Nothing at ${address} says what was used: ${messageOf(cause)}.`,
    fix: 'Check that the backend runs, and --url if it was given.',
    cause,
  });
