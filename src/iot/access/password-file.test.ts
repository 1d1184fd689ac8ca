import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { missing, temporaryFolder } from '../../../test/support.ts';
import { seededRandom, systemRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { bites } from '../mqtt/gateway-world.ts';
import { atOnce } from './config-file.ts';
import { accessLimits } from './limits.ts';
import { hashPassword, isSameEntry, type PasswordEntries, parsePasswordFile, passwordLine } from './password-file.ts';
import { HashQueue, PasswordVerifier } from './password-verifier.ts';

const salt = 'c2FsdHNhbHRzYWx0';
/** Of "password" with the salt "saltsaltsalt", computed with Python's hashlib. */
const pbkdf2Hash = 'FCG7EBo8zJik0YXy2GHzSQZMIgRMOw788yO4Bu88kcpfFKpL26d4kQZwYWnUrhm5QP8Ay4tRcegPZigCc1KVBg==';
const sha512Hash = 'OeQ5oAbOQHyO7Lq8Yy6QA9elYJe+j/9D8PsO2kAAWvXjKHDQRRQWfQVtuTJGiL7WcNKmunUtEqh9n4tloqTh+g==';
const slow = `$7$101$${salt}$${pbkdf2Hash}`;
const fast = `$6$${salt}$${sha512Hash}`;

const parse = (text: string | Uint8Array) => atOnce(parsePasswordFile(Buffer.from(text), 'passwd'));

function verify(entries: PasswordEntries, username: string, password: string): Promise<string> {
  const verifier = new PasswordVerifier({
    entries,
    queue: new HashQueue(),
    clock: new VirtualClock(),
    random: seededRandom(1),
  });
  return verifier.verify(username, Buffer.from(password));
}

describe('password files', () => {
  it('are read as Mosquitto reads them', async () => {
    const text = `# comment:x\n\nalice:${slow}\r\nbob:${fast}  \n a b\t:\t${slow}\né+/#$:${fast}\n__proto__:${fast}\n\u00a0:${fast}`;
    for (const bytes of [text, `\ufeff${text}`, `${text}\n`, `${text}\n\n#`]) {
      const entries = parse(bytes);
      assert.deepEqual([...entries.keys()], ['alice', 'bob', 'a b', 'é+/#$', '__proto__', '\u00a0']);
      for (const username of entries.keys()) {
        assert.equal(await verify(entries, username, 'password'), 'right', username);
        for (const wrong of ['', 'Password', 'password\0x', 'password ', 'passwor'])
          assert.equal(await verify(entries, username, wrong), 'wrong', `${username}: ${wrong}`);
      }
      for (const unknown of ['', 'Alice', 'alice ', 'e\u0301+/#$', 'constructor', '#comment'])
        assert.equal(await verify(entries, unknown, 'password'), 'wrong', unknown);
    }
  });

  it('admit nobody when they are empty (hostile A06)', async () => {
    for (const empty of ['', '\n', '#\n', '\ufeff', '   \n']) {
      const entries = parse(empty);
      assert.equal(entries.size, 0);
      for (const username of ['', 'alice']) assert.equal(await verify(entries, username, ''), 'wrong');
    }
  });

  const cut = (length: number) => Buffer.alloc(length, 1).toString('base64');
  const notValid: Record<string, string> = {
    'no colon': 'alice',
    'no user name': `:${slow}`,
    'a blank user name': ` \t:${slow}`,
    'a user name with a control character': `a\u0007b:${slow}`,
    'a long user name': `${'x'.repeat(accessLimits.usernameBytesMax + 1)}:${slow}`,
    'no hash': 'alice:',
    'a password in clear': 'alice:secret-in-clear',
    'a password in clear with $': 'alice:secret-in-clear$7$x',
    'another kind': 'alice:$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA',
    'no kind': `alice:$$${salt}$${sha512Hash}`,
    'no iterations': `alice:$7$${salt}$${pbkdf2Hash}`,
    'zero iterations': `alice:$7$0$${salt}$${pbkdf2Hash}`,
    'negative iterations': `alice:$7$-1$${salt}$${pbkdf2Hash}`,
    'hexadecimal iterations': `alice:$7$0x65$${salt}$${pbkdf2Hash}`,
    'too many iterations': `alice:$7$${accessLimits.hashIterationsMax + 1}$${salt}$${pbkdf2Hash}`,
    'endless iterations': `alice:$7$${'9'.repeat(400)}$${salt}$${pbkdf2Hash}`,
    'no salt': `alice:$7$101$$${pbkdf2Hash}`,
    'a salt that is not base64': `alice:$7$101$*${salt}$${pbkdf2Hash}`,
    'a long salt': `alice:$7$101$${cut(accessLimits.saltBytesMax + 1)}$${pbkdf2Hash}`,
    'a torn hash': `alice:$7$101$${salt}$${pbkdf2Hash.slice(0, 40)}`,
    'a short hash': `alice:$6$${salt}$${cut(63)}`,
    'a long hash': `alice:$6$${salt}$${cut(65)}`,
    'no hash after the salt': `alice:$6$${salt}`,
    'something behind the hash': `alice:${slow}$more`,
    'another field behind the hash': `alice:${slow}:more`,
    'U+0000': `alice\0:${slow}`,
    'a long line': `alice:${slow}${' '.repeat(accessLimits.lineBytesMax)}`,
    'a second line of a user': `first:${slow}`,
  };
  for (const [what, line] of Object.entries(notValid)) {
    it(`refuses ${what} with the number of the line and nothing of it`, () => {
      const expectRefusal = (bytes: Uint8Array) =>
        assert.throws(
          () => parse(bytes),
          (error: { code: string; message: string; fix: string }) => {
            assert.equal(error.code, 'access.passwordFileNotValid');
            assert.match(error.message, /^passwd, line 3: /);
            assert.doesNotMatch(error.message + error.fix, /secret|alice|c2Fs|FCG7|OeQ5/);
            return true;
          },
        );
      expectRefusal(Buffer.from(`first:${slow}\n# comment\n${line}\nlast:${slow}\n`));
      expectRefusal(Buffer.from(`first:${slow}\n# comment\n${line}`));
    });
  }

  it('refuses what is not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('ok:'), Buffer.from(`${slow}\n`), Buffer.of(0xc3, 0x28, 0x3a)]);
    assert.throws(() => parse(bytes), { code: 'access.passwordFileNotValid', message: /line 2/ });
  });

  it('refuses more users than it may hold', async () => {
    const tooMany = `a:${fast}\nb:${fast}\nc:${fast}\n`;
    const promise = async () => void assert.throws(() => parse(tooMany), { message: /line 3/ });
    const usersMax = Object.getOwnPropertyDescriptor(accessLimits, 'usersMax');
    assert(usersMax);
    Object.defineProperty(accessLimits, 'usersMax', { ...usersMax, value: 2 });
    try {
      await promise();
      await bites(accessLimits, 'usersMax', { value: 3 }, promise);
    } finally {
      Object.defineProperty(accessLimits, 'usersMax', usersMax);
    }
  });

  it('takes an entry for another as soon as anything of it differs', () => {
    const entryOf = (hash: string) => parse(`alice:${hash}`).get('alice');
    assert(isSameEntry(entryOf(slow), entryOf(slow)));
    assert(isSameEntry(undefined, undefined));
    for (const other of [fast, slow.replace('101', '102'), slow.replace('FCG7', 'GCG7'), slow.replace('c2Fs', 'd2Fs')])
      assert(!isSameEntry(entryOf(slow), entryOf(other)));
    assert(!isSameEntry(entryOf(slow), undefined) && !isSameEntry(undefined, entryOf(slow)));
  });
});

describe('entries of our own', () => {
  it('are read back, and differ each time', async () => {
    const password = Buffer.from('pass:wörd$\n');
    const line = await passwordLine('alice b', password, systemRandom);
    assert.match(line, /^alice b:\$7\$100000\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==$/);
    assert.equal(await verify(parse(line), 'alice b', String(password)), 'right');
    assert.equal(await verify(parse(line), 'alice b', 'pass:wörd$'), 'wrong');
    assert.notEqual(await passwordLine('alice b', password, systemRandom), line);
    assert.equal(await hashPassword(password, seededRandom(1)), await hashPassword(password, seededRandom(1)));
    assert.match(await hashPassword(password, systemRandom, { iterations: 7 }), /^\$7\$7\$/);
  });

  it('are not written where they would not be read back', async () => {
    const password = Buffer.from('x');
    for (const username of [
      '',
      ' ',
      'a ',
      ' a',
      '\ta',
      'a:b',
      '#a',
      'a\nb',
      'a\0',
      'a\u007f',
      '\ud800',
      'x'.repeat(1025),
    ])
      await assert.rejects(
        passwordLine(username, password, systemRandom),
        { code: 'access.usernameNotValid' },
        username,
      );
    for (const length of [0, accessLimits.passwordBytesMax + 1])
      await assert.rejects(passwordLine('alice', Buffer.alloc(length, 1), systemRandom), {
        code: 'access.passwordNotValid',
      });
  });
});

describe('mosquitto_passwd', () => {
  const skip = missing('mosquitto_passwd');

  it('writes files that are read here', { skip }, async () => {
    const file = path.join(temporaryFolder(), 'passwd');
    const users = ['alice', 'a b', 'é+/#', 'x'.repeat(100)];
    const password = 'pä$$:word';
    const write = (...args: string[]) => assert.equal(spawnSync('mosquitto_passwd', args).status, 0, args.join(' '));
    write('-b', '-c', file, 'first', password);
    for (const username of users) write('-b', file, username, password);
    for (const username of users) write('-H', 'sha512', '-b', file, `${username}.6`, password);
    const entries = parse(readFileSync(file));
    const expected = ['first', ...users, ...users.map(username => `${username}.6`)];
    assert.deepEqual([...entries.keys()], expected);
    for (const username of expected) {
      assert.equal(await verify(entries, username, password), 'right', username);
      assert.equal(await verify(entries, username, `${password}.`), 'wrong', username);
    }
    assert.deepEqual(
      expected.map(username => entries.get(username)?.iterations === undefined),
      expected.map(username => username.endsWith('.6')),
    );
  });
});
