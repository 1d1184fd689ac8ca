import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { temporaryFolder } from '../../test/support.ts';
import { codeOf } from '../kernel/errors.ts';
import { type Files, systemFiles } from '../kernel/files.ts';
import { type DataLock, lockDataDirectory } from './data-lock.ts';

type Lock = (directory: string) => Promise<DataLock>;

/** As programs do it that do not know better: a file whose age nobody can judge after a kill. */
const byFile: Lock = async directory => {
  const lockFile = path.join(directory, 'lock');
  openSync(lockFile, 'a');
  return { release: async () => {} };
};

describe('the lock of a data directory', () => {
  const isExclusive = async (lock: Lock) => {
    const directory = temporaryFolder();
    const first = await lock(directory);
    const refusal = await lock(directory).then(
      () => undefined,
      error => error,
    );
    assert.equal(codeOf(refusal), 'data.inUse');
    assert.match(refusal.message, new RegExp(`process ${process.pid}`)); // Who has it.
    const other = await lock(temporaryFolder()); // Another directory is another lock.
    await first.release();
    const again = await lock(directory);
    await Promise.all([again.release(), other.release()]);
  };
  it("is one owner's at a time, who is named to whoever else wants it (hostile T10)", async () => {
    await isExclusive(lockDataDirectory);
    await assert.rejects(isExclusive(byFile), assert.AssertionError);
  });

  it('is free at once when its owner is killed, whatever it had no time to do (hostile T10)', async () => {
    const directory = temporaryFolder();
    const module = pathToFileURL(path.join(import.meta.dirname, 'data-lock.ts')).href;
    const code = `
      import { lockDataDirectory } from ${JSON.stringify(module)};
      await lockDataDirectory(${JSON.stringify(directory)});
      console.log('locked');
      process.stdin.resume();`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(createInterface({ input: owner.stdout }), 'line');
    await assert.rejects(lockDataDirectory(directory), (error: Error) =>
      error.message.includes(`process ${owner.pid}`),
    );
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const lock = await lockDataDirectory(directory);
    await lock.release();
  });
});

describe('what is made in a data directory', () => {
  const isTheOwners = async (files: Pick<Files, 'makeDirectory' | 'open'>) => {
    const before = process.umask(0); // The most generous there is.
    try {
      const directory = path.join(temporaryFolder(), 'a', 'b');
      await files.makeDirectory(directory);
      const filePath = path.join(directory, 'file');
      const file = await files.open(filePath, { create: true });
      await file.close();
      assert.equal(statSync(directory).mode & 0o777, 0o700);
      assert.equal(statSync(path.dirname(directory)).mode & 0o777, 0o700);
      assert.equal(statSync(filePath).mode & 0o777, 0o600);
    } finally {
      process.umask(before);
    }
  };
  it("is its owner's alone, whatever the process may give away (hostile T17)", async () => {
    await isTheOwners(systemFiles);
    const generous: Pick<Files, 'makeDirectory' | 'open'> = {
      makeDirectory: async directory => void mkdirSync(directory, { recursive: true }),
      open: async filePath => {
        writeFileSync(filePath, '');
        return systemFiles.open(filePath);
      },
    };
    await assert.rejects(isTheOwners(generous), assert.AssertionError);
  });
});
