import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { temporaryFolder } from './support.ts';

function schema(...args: string[]) {
  return spawnSync(process.execPath, ['bin/mimamori.js', 'schema', 'apps/speaker', ...args], { encoding: 'utf8' });
}

describe('mimamori schema (covers S2-11)', () => {
  it('prints the document that is committed beside the app', () => {
    const { stdout, status } = schema();
    assert.equal(status, 0);
    assert.equal(stdout, readFileSync('apps/speaker/schema.md', 'utf8'));
    assert.equal(schema('--check', 'apps/speaker/schema.md').status, 0);
  });

  it('fails when the document is stale or missing, and says from where on', () => {
    const file = path.join(temporaryFolder(), 'schema.md');
    assert.equal(schema('--check', file).status, 1);
    writeFileSync(file, readFileSync('apps/speaker/schema.md', 'utf8').replace('Message-due', 'Message-old'));
    const { stderr, status } = schema('--check', file);
    assert.equal(status, 1);
    assert.match(stderr, /schema\.md is stale from line \d+ on.*Message-due[\s\S]*\[schema\.stale\]/);
  });

  it('prints the same as JSON', () => {
    const report = JSON.parse(schema('--json').stdout);
    assert.deepEqual(
      report.entities.map(({ name }: { name: string }) => name),
      ['Speaker', 'Message', 'Event'],
    );
  });
});
