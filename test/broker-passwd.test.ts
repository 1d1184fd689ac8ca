/** `mimamori passwd`: what it writes, the broker and Mosquitto's own tool read. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { passwdCommand } from '../src/cli/passwd.ts';
import { FileAccess } from '../src/iot/access/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { codeOf } from '../src/kernel/errors.ts';
import { systemFiles } from '../src/kernel/files.ts';
import { systemRandom } from '../src/kernel/random.ts';
import { lockDataDirectory } from '../src/local/index.ts';
import { mimamori } from './broker-support.ts';
import { missing, temporaryFolder } from './support.ts';

/** In this process; what it throws `main.ts` prints. */
function passwd(...args: string[]): Promise<unknown> {
  return passwdCommand().exitOverride().parseAsync(args, { from: 'user' });
}

/** The code it is refused with; with an input, in a process that has it. */
async function refusalOf(args: readonly string[], input?: string): Promise<string> {
  if (input === undefined) {
    return passwd(...args).then(
      () => 'none',
      error => codeOf(error),
    );
  }
  const { code, out } = mimamori(['passwd', '--json', ...args], { input });
  assert.equal(code, 1);
  return JSON.parse(out).code;
}

async function isLetIn(passwordFile: string, username: string, password: string): Promise<boolean> {
  const common = { files: systemFiles, clock: systemClock, random: systemRandom, allowAnonymous: false };
  const access = await FileAccess.open({ ...common, passwordFile });
  const attempt = { clientId: 'c', username, password: Buffer.from(password), certificate: undefined };
  return (await access.authenticate({ ...attempt, remoteAddress: '' })).admitted;
}

describe('mimamori passwd', () => {
  it('begins a file, adds, changes and deletes users, and touches nothing else in it', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'passwords');
    const run = (args: readonly string[], input?: string) => {
      const { code, out, complaint } = mimamori(['passwd', '--json', ...args], { input });
      assert.equal(code, 0, complaint + out);
      return JSON.parse(out).event;
    };
    assert.equal(run(['-c', file, 'alice', '--password-stdin'], 'first secret\n'), 'added');
    assert(await isLetIn(file, 'alice', 'first secret'));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    writeFileSync(file, `# Those of the house\r\n${readFileSync(file, 'utf8')}\n# The end`, { mode: 0o644 });
    assert.equal(run(['-b', file, 'bob', 'ungeheim: ü']), 'added');
    const withBob = readFileSync(file, 'utf8').split('\n');
    assert.equal(run([file, 'alice', '--password-stdin'], 'second secret'), 'changed');
    assert(!(await isLetIn(file, 'alice', 'first secret')));
    assert(await isLetIn(file, 'alice', 'second secret'));
    assert(await isLetIn(file, 'bob', 'ungeheim: ü'));
    const lines = readFileSync(file, 'utf8').split('\n');
    assert.deepEqual([lines[0], lines[2], lines[3], lines[4]], ['# Those of the house\r', '', '# The end', withBob[4]]);
    assert.equal(statSync(file).mode & 0o777, 0o600, 'nobody else may read it any more');
    assert.equal(run(['-D', file, 'alice']), 'deleted');
    assert.deepEqual(readFileSync(file, 'utf8').split('\n'), [lines[0], '', '# The end', withBob[4], '']);
    assert.deepEqual(readdirSync(folder), ['passwords'], 'nothing is left beside it');
  });

  it('writes what mosquitto_passwd reads, and reads what it writes', {
    skip: missing('mosquitto_passwd'),
  }, async () => {
    const file = path.join(temporaryFolder(), 'passwords');
    spawnSync('mosquitto_passwd', ['-c', '-b', file, 'theirs', 'a']);
    assert.equal(mimamori(['passwd', '-b', file, 'ours', 'b']).code, 0);
    assert.equal(spawnSync('mosquitto_passwd', ['-b', file, 'also-theirs', 'c']).status, 0);
    for (const [username, password] of [
      ['theirs', 'a'],
      ['ours', 'b'],
      ['also-theirs', 'c'],
    ])
      assert(await isLetIn(file, username, password), username);
    assert.equal(spawnSync('mosquitto_passwd', ['-D', file, 'ours']).status, 0);
    assert(!readFileSync(file, 'utf8').includes('ours:$7$100000'));
  });

  it('refuses what would lose users or show a password, and leaves the file as it was', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'passwords');
    assert.equal(mimamori(['passwd', '-c', '-b', file, 'alice', 'a']).code, 0);
    const before = readFileSync(file, 'utf8');
    const bad = path.join(folder, 'bad');
    writeFileSync(bad, 'alice:not hashed\n');
    const refusals: readonly (readonly [args: readonly string[], code: string, input?: string])[] = [
      [['-c', '-b', file, 'bob', 'b'], 'passwd.fileExists'],
      [['-b', path.join(folder, 'other'), 'bob', 'b'], 'passwd.fileNotFound'],
      [['-c', '-b', path.join(folder, 'none', 'x'), 'bob', 'b'], 'passwd.fileNotWritable'],
      [['-b', bad, 'bob', 'b'], 'access.passwordFileNotValid'],
      [['-D', file, 'Alice'], 'passwd.userNotFound'],
      [['-D', '-b', file, 'alice', 'a'], 'passwd.optionsNotValid'],
      [['-b', file, 'bob'], 'passwd.optionsNotValid'],
      [[file, 'bob', 'seen'], 'passwd.optionsNotValid'],
      [['-b', '--password-stdin', file, 'bob', 'b'], 'passwd.optionsNotValid'],
      [[file, 'bob'], 'passwd.noTerminal', ''],
      [[file, 'bob', '--password-stdin'], 'access.passwordNotValid', '\n'],
      [[file, 'bob', '--password-stdin'], 'access.passwordNotValid', 'x'.repeat(1_025)],
      [[file, 'bob', '--password-stdin'], 'passwd.optionsNotValid', 'one\ntwo\n'],
      [['-b', file, 'bob:x', 'b'], 'access.usernameNotValid'],
      [['-b', file, '#bob', 'b'], 'access.usernameNotValid'],
    ];
    for (const [args, code, input] of refusals) assert.equal(await refusalOf(args, input), code, args.join(' '));
    assert.equal(readFileSync(file, 'utf8'), before);
    assert.deepEqual(readdirSync(folder).sort(), ['bad', 'passwords']);
  });

  it('replaces the file behind a link, not the link', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'passwords');
    const link = path.join(folder, 'link');
    assert.equal(mimamori(['passwd', '-c', '-b', file, 'alice', 'a']).code, 0);
    symlinkSync(file, link);
    assert.equal(mimamori(['passwd', '-b', link, 'bob', 'b']).code, 0);
    assert(await isLetIn(file, 'bob', 'b'));
  });

  it('keeps the owner of the file', { skip: process.getuid?.() === 0 ? false : 'skipped: needs root' }, () => {
    const file = path.join(temporaryFolder(), 'passwords');
    writeFileSync(file, '');
    chownSync(file, 12_345, 12_346);
    assert.equal(mimamori(['passwd', '-b', file, 'alice', 'a']).code, 0);
    const { uid, gid, mode } = statSync(file);
    assert.deepEqual([uid, gid, mode & 0o777], [12_345, 12_346, 0o600]);
  });

  it('changes nothing while another is changing the file', async () => {
    const file = path.join(temporaryFolder(), 'passwords');
    writeFileSync(file, '');
    const lock = await lockDataDirectory(file);
    assert.equal(await refusalOf(['-b', file, 'alice', 'a']), 'passwd.fileInUse');
    assert.equal(readFileSync(file, 'utf8'), '');
    await lock.release();
    assert.equal(mimamori(['passwd', '-b', file, 'alice', 'a']).code, 0);
  });

  describe('at a terminal', { skip: missing('script') }, () => {
    /** Runs it at a terminal of its own and types the answers. */
    async function typed(args: string, answers: readonly string[]): Promise<{ code: number; shown: string }> {
      const command = `'${process.execPath}' bin/mimamori.js passwd ${args}`;
      const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
      const left = [...answers];
      let shown = '';
      child.stdout.on('data', bytes => {
        shown += bytes;
        const asked = (shown.match(/(Password|The same again): /g) ?? []).length;
        while (answers.length - left.length < asked && left.length > 0) child.stdin.write(left.shift() ?? '');
      });
      const [code] = await once(child, 'close');
      return { code, shown };
    }

    it('asks twice and shows nothing of what is typed', async () => {
      const file = path.join(temporaryFolder(), 'passwords');
      const { code, shown } = await typed(`-c '${file}' alice`, ['hidden words\r', 'hidden words\r']);
      assert.equal(code, 0, shown);
      assert(!shown.includes('hidden'), shown);
      assert(await isLetIn(file, 'alice', 'hidden words'));
    });

    it('changes nothing when the two differ, or at Ctrl-C and Ctrl-D', async () => {
      const folder = temporaryFolder();
      const file = path.join(folder, 'passwords');
      for (const [answers, code] of [
        [['one\r', 'other\r'], 'passwd.passwordsDiffer'],
        [['one\r', '\u0003'], 'passwd.notEntered'],
        [['\u0004'], 'passwd.notEntered'],
      ] as const) {
        const ended = await typed(`-c '${file}' alice`, answers);
        assert.equal(ended.code, 1);
        assert(ended.shown.includes(code), ended.shown);
      }
      assert.deepEqual(readdirSync(folder), []);
    });
  });
});
