import { Command, Option } from 'commander';
import { ThingRegistry } from '../iot/things/index.ts';
import { joinPath, systemFiles } from '../kernel/files.ts';
import { openLmdbStore } from '../kernel/lmdb-store.ts';
import { systemRandom } from '../kernel/random.ts';
import { lockDataDirectory } from '../local/data-lock.ts';
import { appOption, dataOption, jsonOption, positive } from './options.ts';

/** Registers things while the backend is stopped, e.g. at a factory or for a benchmark. */
export function thingsCommand(): Command {
  const create = new Command('create')
    .description('Register things and print their credentials, which are stored nowhere else.')
    .argument('[names...]', 'thing names')
    .option('--prefix <text>', 'with --count: names are <text>-1, <text>-2, …', 'thing')
    .addOption(new Option('--count <n>', 'how many to name and register').argParser(positive))
    .addOption(appOption())
    .addOption(dataOption())
    .addOption(jsonOption())
    .action(async (names: string[], options) => {
      const numbered = Array.from({ length: options.count ?? 0 }, (_, index) => `${options.prefix}-${index + 1}`);
      const all = [...names, ...numbered];
      if (all.length === 0) create.error('Give the names of the things, or --count.');
      await systemFiles.makeDirectory(options.data);
      const lock = await lockDataDirectory(options.data);
      const store = await openLmdbStore({ path: joinPath(options.data, 'iot'), durability: 'sync' });
      try {
        const things = new ThingRegistry({ store, random: systemRandom });
        for (const credentials of await Promise.all(all.map(name => things.create(name)))) {
          const { clientId, username, password } = credentials;
          console.log(
            options.json ? JSON.stringify(credentials) : `${clientId}  username ${username}  password ${password}`,
          );
        }
      } finally {
        await store.close();
        await lock.release();
      }
    });
  return new Command('things').description('The registered things of a stopped backend.').addCommand(create);
}
