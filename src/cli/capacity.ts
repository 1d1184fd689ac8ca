import { Command, Option } from 'commander';
import type { CapacityReport } from '../app/index.ts';
import { capacityPath } from '../http/operator/paths.ts';
import { capacityText } from './capacity-table.ts';
import { askOperator, urlOption } from './operator.ts';
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
    .addOption(urlOption())
    .addOption(new Option('--top <n>', 'so many lines of each list').default(20).argParser(positive))
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx mimamori capacity --data ./data --top 5')
    .action(async (options: CapacityOptions) => {
      const report = await askOperator<CapacityReport>(options, `${capacityPath}?top=${options.top}`);
      if (options.json) console.log(JSON.stringify(report));
      else process.stdout.write(capacityText(report, options.top));
    });
}
