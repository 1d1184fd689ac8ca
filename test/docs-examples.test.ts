import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { loadApp } from '../src/local/index.ts';
import { temporaryFolder } from './support.ts';

/** The first example of a document, as a file of its own: what it imports is where the document says. */
function exampleOf(document: string, { from, change }: { from: string; change: (code: string) => string }): URL {
  const [, code] = /```ts\n([\s\S]*?)```/.exec(readFileSync(document, 'utf8')) ?? [];
  assert(code !== undefined, `${document} has an example`);
  const resolved = change(code)
    .replaceAll(/from '(\.[^']+)'/g, (_, target) => `from '${pathToFileURL(path.resolve(from, target)).href}'`)
    .replaceAll(/from '([a-z]+(?:\/[a-z]+)?)'/g, (_, name) => `from '${import.meta.resolve(name)}'`);
  const file = path.join(temporaryFolder(), 'app.ts');
  writeFileSync(file, resolved);
  return pathToFileURL(file);
}

describe('the examples of the documents', () => {
  it('has in docs/entities.md an app that can be loaded', async () => {
    const url = exampleOf('docs/entities.md', { from: 'apps/garden', change: code => code });
    const { model, routes } = await loadApp(url.href);
    assert.deepEqual(Object.keys(model.entities), ['Device', 'User', 'Reading']);
    assert.equal(routes.length, 1);
  });

  it('has in the README of the table a program that stores an item', async () => {
    const folder = temporaryFolder();
    const url = exampleOf('src/platform/table/README.md', {
      from: 'src/platform/table',
      change: code => `${code.replace("'data/table'", JSON.stringify(folder))}\nexport { table };\n`,
    });
    const { table } = await import(url.href);
    try {
      const { Item } = await table.get({ TableName: 'app', Key: { PK: 'Room-1', SK: 'Room' } });
      assert.equal(Item.celsius, 21.5);
    } finally {
      await table.close();
    }
  });

  it('has in the README of the test kit a test that passes', () => {
    const app = pathToFileURL('apps/speaker/app.ts').href;
    const url = exampleOf('src/testing/README.md', {
      from: 'apps/speaker',
      change: code => code.replace("new URL('./app.ts', import.meta.url)", `new URL('${app}')`),
    });
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined }; // Else it reports to the one that runs us.
    const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(url)], { encoding: 'utf8', env });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /pass 1/);
  });
});
