import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { credentialsIn, readCredentials } from './credentials.ts';

describe('a credentials file', () => {
  it('gives the keys of all its profiles, and passes over what else is in them', () => {
    const text = [
      '# made by hand',
      '[default]',
      'aws_access_key_id = AKIDONE',
      'aws_secret_access_key=one/+=secret  ',
      'region = us-east-1',
      '[profile role]\r',
      'role_arn = arn:aws:iam::1:role/x',
      'source_profile = default',
      '; half of one',
      '[half]',
      'aws_access_key_id = AKIDHALF',
      '  [two]  ',
      'aws_secret_access_key = two',
      '  aws_access_key_id=AKIDTWO',
    ].join('\n');
    assert.deepEqual(
      [...credentialsIn(text)],
      [
        ['AKIDONE', 'one/+=secret'],
        ['AKIDTWO', 'two'],
      ],
    );
  });

  it('is refused when it cannot be read or holds no key', async t => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'mimamori-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'credentials');
    await assert.rejects(readCredentials({ file }), {
      code: 'credentials.notValid',
      message: /cannot be read/,
    });
    writeFileSync(file, '[default]\nregion = us-east-1\n');
    await assert.rejects(readCredentials({ file }), { code: 'credentials.notValid', message: /holds no/ });
  });
});

describe('credentials given directly', () => {
  it('are a pair, beside those of a file, or none at all', async () => {
    assert.equal(await readCredentials({}), undefined);
    const one = await readCredentials({ accessKeyId: 'id', secretAccessKey: 'secret' });
    assert.deepEqual([...(one ?? [])], [['id', 'secret']]);
    for (const half of [{ accessKeyId: 'id' }, { secretAccessKey: 's' }, { accessKeyId: '', secretAccessKey: '' }]) {
      await assert.rejects(readCredentials(half), { code: 'credentials.notValid' });
    }
  });
});
