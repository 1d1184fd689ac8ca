import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { schemaDocument, schemaReport } from '../app/index.ts';
import { MimamoriError, messageOf } from '../kernel/errors.ts';
import { findAppModule, loadApp } from '../local/app-module.ts';
import { jsonOption } from './options.ts';

/** Prints what an app stores and what can be asked of it, or says whether a committed copy of that is stale. */
export function schemaCommand(): Command {
  return new Command('schema')
    .description('Print entities, access patterns, keys and write costs of an app, as Markdown.')
    .argument('[app]', 'the app: a folder with app.ts, or a file', process.env.MIMAMORI_APP ?? 'apps/speaker')
    .addOption(new Option('--check <file>', 'print nothing; fail when the file is not what would be printed'))
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx mimamori schema apps/speaker > apps/speaker/schema.md')
    .action(async (appPath: string, options: { readonly check?: string; readonly json?: true }) => {
      const { model } = await loadApp(findAppModule(appPath).href);
      const document = schemaDocument(model.application, model.entities);
      if (options.check !== undefined) {
        checkDocument(options.check, appPath, document);
        if (options.json) console.log(JSON.stringify({ event: 'checked', file: options.check, isStale: false }));
      } else if (options.json) console.log(JSON.stringify(schemaReport(model.application, model.entities)));
      else process.stdout.write(document);
    });
}

function checkDocument(file: string, appPath: string, document: string): void {
  let committed: string;
  try {
    committed = readFileSync(file, 'utf8').replaceAll('\r\n', '\n');
  } catch (cause) {
    throw schemaStale(file, appPath, `cannot be read: ${messageOf(cause)}`);
  }
  if (committed === document) return;
  const [old, now] = [committed, document].map(text => text.split('\n'));
  const line = now.findIndex((text, index) => text !== old[index]);
  const number = line === -1 ? now.length : line + 1;
  throw schemaStale(
    file,
    appPath,
    `is stale from line ${number} on, which would be: ${now[number - 1] || '(nothing)'}`,
  );
}

const schemaStale = (file: string, appPath: string, reason: string) =>
  new MimamoriError({
    code: 'schema.stale',
    message: `${file} ${reason}`,
    fix: `Write it again: mimamori schema ${appPath} > ${file}`,
  });
