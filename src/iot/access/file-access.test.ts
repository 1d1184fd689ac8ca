import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemFiles } from '../../kernel/files.ts';
import { seededRandom } from '../../kernel/random.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { bites } from '../mqtt/gateway-world.ts';
import { FileAccess, type FileAccessOptions } from './file-access.ts';
import { accessLimits } from './limits.ts';
import { hashPassword, pbkdf2Sha512, type SlowHash } from './password-file.ts';
import type { Admission, ClientCertificate, ConnectAttempt, Identity } from './port.ts';

const passwordFile = '/etc/passwd';
const aclFile = '/etc/acl';

/** A line whose password is the user's name and `suffix`. */
async function lineOf(username: string, suffix = ''): Promise<string> {
  return `${username}:${await hashPassword(Buffer.from(username + suffix), seededRandom(3), { iterations: 2 })}\n`;
}

class AccessWorld {
  readonly clock = new VirtualClock();
  readonly disk = new TestDisk({ clock: this.clock, random: seededRandom(1) });
  changes = 0;

  async put(filePath: string, text: string | Uint8Array): Promise<void> {
    await this.clock.until(
      (async () => {
        const file = await this.disk.open(filePath, { create: true });
        await file.truncate(0);
        await file.write(Buffer.from(text), 0);
        await file.close();
      })(),
    );
  }

  open(options: Partial<FileAccessOptions> = {}): Promise<FileAccess> {
    const { disk: files, clock } = this;
    const onChanged = () => void this.changes++;
    const defaults = { files, clock, random: seededRandom(2), allowAnonymous: false, onChanged };
    return this.clock.until(FileAccess.open({ ...defaults, ...options }));
  }

  /** With alice and bob, and what they may do. */
  async openBoth(options: Partial<FileAccessOptions> = {}): Promise<FileAccess> {
    await this.put(passwordFile, (await lineOf('alice')) + (await lineOf('bob')));
    await this.put(aclFile, 'topic anon/#\nuser alice\ntopic a/#\nuser bob\ntopic b/#\ntopic $SYS/#\n');
    return this.open({ passwordFile, aclFile, ...options });
  }
}

function attempt(options: Partial<ConnectAttempt>): ConnectAttempt {
  const nothing = { username: undefined, password: undefined, certificate: undefined };
  return { clientId: 'client', remoteAddress: '192.0.2.1', ...nothing, ...options };
}

const guess = (username: string, password: string) => attempt({ username, password: Buffer.from(password) });

async function answer(access: FileAccess, tried: ConnectAttempt): Promise<string> {
  const admission: Admission = await access.authenticate(tried);
  return admission.admitted ? `admitted ${admission.identity.principal}` : admission.reason;
}

const identityOf = (principal: string): Identity => ({ clientId: 'client', thingName: undefined, principal });

describe('access by files', () => {
  it('admits the users of the password file, and nobody without a name', async () => {
    const access = await new AccessWorld().openBoth();
    const answers: [ConnectAttempt, string][] = [
      [guess('alice', 'alice'), 'admitted alice'],
      [guess('bob', 'bob'), 'admitted bob'],
      [guess('alice', 'bob'), 'badUserNameOrPassword'],
      [guess('alice', ''), 'badUserNameOrPassword'],
      [guess('carol', 'alice'), 'badUserNameOrPassword'],
      [guess('', ''), 'badUserNameOrPassword'],
      [attempt({ username: 'alice' }), 'badUserNameOrPassword'],
      [attempt({ username: 'carol' }), 'badUserNameOrPassword'],
      [attempt({}), 'notAuthorized'],
      [attempt({ password: Buffer.from('alice') }), 'notAuthorized'],
    ];
    for (const [tried, expected] of answers) assert.equal(await answer(access, tried), expected);
    const admission = await access.authenticate({ ...guess('alice', 'alice'), clientId: 'any/id+#' });
    const identity = { clientId: 'any/id+#', thingName: undefined, principal: 'alice' };
    assert.deepEqual(admission, { admitted: true, identity });
    assert(access.assignsClientIds);
  });

  it('lets anonymous clients in when told so, and still refuses a wrong password', async () => {
    const access = await new AccessWorld().openBoth({ allowAnonymous: true });
    assert.equal(await answer(access, attempt({})), 'admitted ');
    assert.equal(await answer(access, attempt({ password: Buffer.from('x') })), 'admitted ');
    assert.equal(await answer(access, guess('alice', 'bob')), 'badUserNameOrPassword');
    assert.equal(await answer(access, guess('', '')), 'badUserNameOrPassword');
  });

  it('takes nobody at their word: without a password file a user name is none', async () => {
    const world = new AccessWorld();
    await world.put(aclFile, 'topic anon/#\nuser alice\ntopic a/#\n');
    const closed = await world.open({ aclFile });
    assert.equal(await answer(closed, guess('alice', 'x')), 'notAuthorized');
    const open = await world.open({ aclFile, allowAnonymous: true });
    const admission = await open.authenticate(guess('alice', 'x'));
    assert(admission.admitted && admission.identity.principal === '');
    assert(!open.judgePublish(admission.identity, 'a/x').allowed);
    assert(open.judgePublish(admission.identity, 'anon/x').allowed);
  });

  it('takes the common name of a certificate for the user name when told so', async () => {
    const world = new AccessWorld();
    const certificate = (commonName: string | undefined): ClientCertificate => ({ certificateId: 'c0', commonName });
    const by = (commonName: string | undefined, tried = attempt({})) => ({
      ...tried,
      certificate: certificate(commonName),
    });
    const access = await world.openBoth({ useIdentityAsUsername: true });
    assert.equal(await answer(access, by('bob')), 'admitted bob');
    assert.equal(await answer(access, by('carol', guess('alice', 'alice'))), 'admitted carol');
    for (const none of [undefined, '', 'a\0b'])
      assert.equal(await answer(access, by(none, guess('alice', 'alice'))), 'badUserNameOrPassword');
    assert.equal(await answer(access, guess('alice', 'alice')), 'admitted alice');
    assert.equal(await answer(access, guess('carol', '')), 'badUserNameOrPassword');
    assert(access.judgePublish(identityOf('bob'), 'b/x').allowed && access.isStillAllowed(identityOf('carol')));
    const without = await world.openBoth();
    assert.equal(await answer(without, by('bob')), 'notAuthorized');
    assert.equal(await answer(without, by('bob', guess('alice', 'alice'))), 'admitted alice');
    assert(!without.isStillAllowed(identityOf('carol')));
  });

  it('asks the ACL file, and without one allows everything but the reserved topics (hostile A04)', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth();
    const alice = identityOf('alice');
    assert(access.checksDeliveries);
    assert.deepEqual(access.judgePublish(alice, 'a/x'), { allowed: true, ingest: false });
    assert.deepEqual(access.judgePublish(alice, 'b/x'), { allowed: false, ingest: false });
    assert.deepEqual([access.maySubscribe(alice, 'a/#'), access.maySubscribe(alice, 'b/#')], [true, false]);
    assert.deepEqual([access.mayReceive(alice, 'a/x'), access.mayReceive(alice, 'b/x')], [true, false]);
    assert(access.mayReceive(identityOf('bob'), '$SYS/x'));

    const open = await world.open({ allowAnonymous: true });
    assert(!open.checksDeliveries);
    for (const topic of ['a', '$foo/x', '$aws/things/x', '$aws/eventsx', '$SYSx', 'x/$SYS/y'])
      assert(open.judgePublish(alice, topic).allowed, topic);
    for (const topic of ['#', '$SYS/#', '$aws/events/#', 'a']) assert(open.maySubscribe(alice, topic));
    assert(open.mayReceive(alice, '$SYS/x'));
    // Of the reserved ones not even a rule that names them lets a client publish.
    for (const topic of ['$SYS', '$SYS/x', '$CONTROL/x', '$share/g/x', '$aws/events', '$aws/events/presence/x']) {
      assert(!open.judgePublish(alice, topic).allowed, topic);
      assert(!access.judgePublish(identityOf('bob'), topic).allowed, topic);
    }
  });

  it('does not start with a file that is missing, unreadable, broken or huge (hostile A06)', async () => {
    const world = new AccessWorld();
    await assert.rejects(world.open({ passwordFile }), { code: 'access.fileNotReadable' });
    await assert.rejects(world.open({ aclFile }), { code: 'access.fileNotReadable' });
    await world.put(passwordFile, 'alice:in-clear');
    await assert.rejects(world.open({ passwordFile }), { code: 'access.passwordFileNotValid' });
    await world.put(aclFile, 'topic a/#/b');
    await assert.rejects(world.open({ aclFile }), { code: 'access.aclFileNotValid' });
    world.disk.failNext({ operation: 'open', code: 'EIO' });
    await assert.rejects(world.open({ aclFile }), { code: 'access.fileNotReadable', message: /EIO/ });
    await assert.rejects(world.open({ files: systemFiles, aclFile: '/' }), { code: 'access.fileNotReadable' });
    await world.put(aclFile, Buffer.alloc(accessLimits.fileBytesMax + 1, '#'));
    await assert.rejects(world.open({ aclFile }), { code: 'access.fileTooLarge' });
    for (const empty of [passwordFile, aclFile]) await world.put(empty, '');
    const access = await world.open({ passwordFile, aclFile });
    assert.equal(await answer(access, guess('alice', 'alice')), 'badUserNameOrPassword');
    assert(!access.judgePublish(identityOf('alice'), 'a').allowed);
  });

  it('reads files that it may not write', async () => {
    // Whoever we are: a program that runs cannot be opened for writing.
    await assert.rejects(systemFiles.open(process.execPath), { code: 'ETXTBSY' });
    const file = await systemFiles.open(process.execPath, { readOnly: true });
    assert.equal(await file.read(Buffer.alloc(4), 0), 4);
    await file.close();
  });
});

describe('a reload', () => {
  it('puts both files in force at once and says so', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth();
    const [alice, bob] = [identityOf('alice'), identityOf('bob')];
    assert(access.judgePublish(bob, 'b/x').allowed);
    const { version } = access;
    await world.put(passwordFile, (await lineOf('alice')) + (await lineOf('carol')));
    await world.put(aclFile, 'user alice\ntopic b/#\n');
    assert(access.judgePublish(alice, 'a/x').allowed); // Nothing changes by itself.
    await world.clock.until(access.reload());
    assert.notEqual(access.version, version);
    assert.equal(world.changes, 1);
    assert.deepEqual(
      [access.judgePublish(alice, 'a/x').allowed, access.judgePublish(alice, 'b/x').allowed],
      [false, true],
    );
    assert.equal(await answer(access, guess('carol', 'carol')), 'admitted carol');
    assert.equal(await answer(access, guess('bob', 'bob')), 'badUserNameOrPassword');
    assert.deepEqual([access.isStillAllowed(alice), access.isStillAllowed(bob)], [true, false]);
  });

  it('keeps what is in force when a file is bad, and says what is wrong (hostile A06, R08)', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth();
    const { version } = access;
    const good = { passwords: await lineOf('alice'), acl: 'user alice\ntopic new/#\n' };
    const promise = async () => {
      for (const [passwords, acl] of [
        [good.passwords, 'topik a'],
        ['alice:in-clear', good.acl],
        [`${good.passwords}bob`, good.acl],
      ]) {
        await world.put(passwordFile, passwords);
        await world.put(aclFile, acl);
        await assert.rejects(world.clock.until(access.reload()), { name: 'MimamoriError', message: /line \d/ });
        await world.put(passwordFile, good.passwords);
        await world.put(aclFile, good.acl);
        for (const which of [1, 2]) {
          if (which === 2) await world.disk.remove(aclFile);
          else world.disk.failNext({ operation: 'open', code: 'EIO' }); // As when descriptors have run out.
          await assert.rejects(world.clock.until(access.reload()), { code: 'access.fileNotReadable' });
        }
      }
      assert.deepEqual([access.version, world.changes], [version, 0]);
      assert.equal(await answer(access, guess('bob', 'bob')), 'admitted bob');
      assert(access.judgePublish(identityOf('alice'), 'a/x').allowed);
      assert(!access.judgePublish(identityOf('alice'), 'new/x').allowed);
      assert(access.isStillAllowed(identityOf('bob')));
    };
    await promise();
    const silent = { value: () => Promise.resolve(), writable: true };
    await bites(FileAccess.prototype, 'reload', silent, promise);
    await world.put(passwordFile, good.passwords);
    await world.put(aclFile, good.acl);
    await world.clock.until(access.reload());
    assert(access.judgePublish(identityOf('alice'), 'new/x').allowed);
  });

  it('ends the admission of who has another password now, and of nobody else', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth();
    await world.put(passwordFile, (await lineOf('alice', '-new')) + (await lineOf('bob')));
    await world.clock.until(access.reload());
    const [alice, bob] = [identityOf('alice'), identityOf('bob')];
    assert.deepEqual([access.isStillAllowed(alice), access.isStillAllowed(bob)], [false, true]);
    assert.equal(await answer(access, guess('alice', 'alice')), 'badUserNameOrPassword');
    assert.equal(await answer(access, guess('alice', 'alice-new')), 'admitted alice');
    await world.clock.until(access.reload());
    assert(access.isStillAllowed(alice));
    assert(!access.isStillAllowed(identityOf(''))); // Nobody is anonymous here.
  });

  it('counts for a password that was being hashed meanwhile (hostile A08)', async () => {
    for (const changed of [true, false]) {
      const world = new AccessWorld();
      let release = () => {};
      const held = new Promise<void>(resolve => {
        release = resolve;
      });
      const slowHash: SlowHash = async (...args) => {
        await held;
        return pbkdf2Sha512(...args);
      };
      const access = await world.openBoth({ slowHash });
      const pending = answer(access, guess('alice', 'alice'));
      if (changed) await world.put(passwordFile, await lineOf('alice', '-new'));
      await world.clock.until(access.reload());
      release();
      assert.equal(await pending, changed ? 'badUserNameOrPassword' : 'admitted alice');
    }
  });

  it('asked for many times reads once more, not as often, and the newest files count', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth();
    const { version } = access;
    const first = access.reload();
    const storm = Array.from({ length: 100 }, () => access.reload());
    await world.put(aclFile, 'user alice\ntopic newest/#\n');
    await world.clock.until(Promise.all([first, ...storm]));
    assert.equal(access.version, version + 2);
    await world.clock.until(access.reload());
    assert(access.judgePublish(identityOf('alice'), 'newest/x').allowed);
    assert.equal(access.version, version + 3);
  });

  it('of a large file lets others run in between', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth();
    const promise = async () => {
      await world.put(aclFile, `${'# comment\n'.repeat(9_999)}user alice\ntopic a/#\n`);
      let turns = 0;
      let done = false;
      const count = () => {
        turns++;
        if (!done) world.clock.soon(count);
      };
      const reloaded = access.reload().finally(() => {
        done = true;
      });
      world.clock.soon(count);
      await world.clock.until(reloaded);
      assert(turns > 10, `${turns}`);
    };
    await promise();
    await bites(accessLimits, 'linesPerTurn', { value: 1_000_000 }, promise);
  });

  it('that fails does not spoil the one that waits for it', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth();
    world.disk.failNext({ operation: 'open', code: 'EIO' });
    const outcomes = await world.clock.until(Promise.allSettled([access.reload(), access.reload()]));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    );
  });

  it('answers "server busy" when a password cannot be hashed, and never rejects', async () => {
    const world = new AccessWorld();
    const access = await world.openBoth({ slowHash: () => Promise.reject(new Error('no thread')) });
    assert.equal(await answer(access, guess('alice', 'alice')), 'serverBusy');
  });
});
