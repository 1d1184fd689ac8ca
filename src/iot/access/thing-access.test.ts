import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryDisk } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { bites } from '../mqtt/gateway-world.ts';
import { PolicyEngine } from '../things/policy.ts';
import { ThingRegistry } from '../things/registry.ts';
import { accessLimits } from './limits.ts';
import type { ConnectAttempt } from './port.ts';
import { ThingAccess } from './thing-access.ts';

async function openWorld() {
  const clock = new VirtualClock();
  const things = new ThingRegistry({ store: new MemoryDisk({ clock }).open(), random: seededRandom(1) });
  const policy = new PolicyEngine({
    publish: ['dt/{thing}/#', '$aws/events/{thing}'],
    ingest: ['dt/{thing}/t'],
    subscribe: ['cmd/{thing}/#'],
  });
  const { password } = await clock.until(things.create('one'));
  const other = await clock.until(things.create('two'));
  const access = new ThingAccess({ things, policy });
  const answer = (tried: Partial<ConnectAttempt>): string => {
    const admission = access.authenticate({
      clientId: 'one',
      username: undefined,
      password: undefined,
      certificate: undefined,
      remoteAddress: '192.0.2.1',
      ...tried,
    });
    return admission.admitted ? Object.values(admission.identity).join(' ') : admission.reason;
  };
  const secrets = { one: Buffer.from(password), two: Buffer.from(other.password) };
  return { clock, things, policy, access, answer, secrets };
}

const one = { clientId: 'one', thingName: 'one', principal: 'one' };

describe('access of things', () => {
  it('admits a thing by its secret, under its name and what begins with it and a dot', async () => {
    const { answer, secrets, access } = await openWorld();
    const known = { username: 'one', password: secrets.one };
    assert.equal(answer(known), 'one one one');
    assert.equal(answer({ ...known, clientId: 'one.upload' }), 'one.upload one one');
    assert.equal(answer({ ...known, clientId: 'two' }), 'badUserNameOrPassword');
    assert.equal(answer({ ...known, username: 'two' }), 'badUserNameOrPassword');
    assert.equal(answer({ ...known, username: undefined }), 'badUserNameOrPassword');
    assert.equal(answer({ ...known, password: secrets.two }), 'badUserNameOrPassword');
    assert.equal(answer({ ...known, clientId: 'three', username: 'three' }), 'badUserNameOrPassword');
    assert.equal(answer({ username: 'one' }), 'notAuthorized'); // Nobody is anonymous.
    assert.equal(answer({}), 'notAuthorized');
    assert(!access.assignsClientIds && !access.checksDeliveries);
  });

  it('refuses client ids that topics give a meaning (hostile A01, W10)', async () => {
    const { answer, secrets } = await openWorld();
    const certificate = { certificateId: 'c0', commonName: 'one' };
    for (const clientId of ['', '+', '#', 'one/x', 'one.+', 'one ', 'one\n', 'one\0', '$one', 'öne', 'one\u200b', '*'])
      assert.equal(
        answer({ clientId, username: 'one', password: secrets.one, certificate }),
        'clientIdentifierNotValid',
        clientId,
      );
  });

  it('does not look at a password that is longer than any secret (hostile K08)', async () => {
    const { answer, things } = await openWorld();
    let looks = 0;
    const { verify } = ThingRegistry.prototype;
    things.verify = (thingName, password) => {
      looks++;
      return verify.call(things, thingName, password);
    };
    const promise = async () => {
      const before = looks;
      assert.equal(answer({ username: 'one', password: Buffer.alloc(1025) }), 'badUserNameOrPassword');
      assert.equal(looks, before);
    };
    await promise();
    await bites(accessLimits, 'passwordBytesMax', { value: 1_000_000 }, promise);
  });

  it('admits a registered thing by its certificate, whatever user name and password say (hostile A07)', async () => {
    const { answer, secrets, things, clock } = await openWorld();
    const certificate = { certificateId: 'c0ffee', commonName: 'one' };
    const metrics = { username: '?SDK=JavaScriptV2&Version=1', password: Buffer.alloc(0) };
    assert.equal(answer({ certificate }), 'one one c0ffee');
    assert.equal(answer({ certificate, ...metrics, clientId: 'one.upload' }), 'one.upload one c0ffee');
    const others = ['two', 'ONE', 'one ', 'one.upload', '', 'three', undefined];
    for (const commonName of others) {
      const tried = { certificate: { certificateId: 'c0ffee', commonName } };
      assert.equal(answer({ ...tried, ...metrics }), 'badUserNameOrPassword', commonName);
      assert.equal(answer(tried), 'notAuthorized');
      assert.equal(answer({ ...tried, username: 'one', password: secrets.one }), 'one one one');
    }
    assert.equal(answer({ clientId: 'three', certificate: { ...certificate, commonName: 'three' } }), 'notAuthorized');
    const promise = async () => {
      await clock.until(things.delete('one'));
      assert.equal(answer({ certificate }), 'notAuthorized');
    };
    await bites(ThingRegistry.prototype, 'has', { value: () => true, writable: true }, promise);
    await promise();
  });

  it('follows the policy, whose version it has', async () => {
    const { access, policy } = await openWorld();
    assert.deepEqual(access.judgePublish(one, 'dt/one/t'), { allowed: true, ingest: true });
    assert.deepEqual(access.judgePublish({ ...one, clientId: 'one.x' }, 'dt/one/u'), { allowed: true, ingest: false });
    assert.deepEqual(access.judgePublish(one, 'dt/two/t'), { allowed: false, ingest: false });
    assert.deepEqual(access.judgePublish({ ...one, thingName: undefined }, 'dt/one/t'), {
      allowed: false,
      ingest: false,
    });
    assert.deepEqual([access.maySubscribe(one, 'cmd/one/+'), access.maySubscribe(one, 'cmd/#')], [true, false]);
    assert.deepEqual([access.mayReceive(one, 'cmd/one/x'), access.mayReceive(one, 'cmd/two/x')], [true, false]);
    assert(!access.maySubscribe({ ...one, thingName: undefined }, 'cmd/one/+'));
    assert.deepEqual(access.filtersOf({ ...one, clientId: 'one.http' }), ['cmd/one/#']);
    assert.deepEqual(access.filtersOf({ ...one, thingName: undefined }), []);
    const { version } = access;
    policy.replace({ publish: [], ingest: [], subscribe: [] });
    assert.notEqual(access.version, version);
    assert(!access.judgePublish(one, 'dt/one/t').allowed);
  });

  it('lets nobody publish where only the server speaks, even if the policy says so (hostile A04)', async () => {
    const { access, policy } = await openWorld();
    assert(policy.judgePublish('one', '$aws/events/one').allowed); // The policy alone would.
    assert(!access.judgePublish(one, '$aws/events/one').allowed);
  });

  it('ends with the thing (hostile S09)', async () => {
    const { access, things, clock } = await openWorld();
    assert(access.isStillAllowed(one) && access.isStillAllowed({ ...one, principal: 'c0ffee', clientId: 'one.x' }));
    assert(!access.isStillAllowed({ ...one, thingName: undefined }));
    const deleted = things.delete('one');
    assert(!access.isStillAllowed(one));
    await clock.until(deleted);
    assert(access.isStillAllowed({ clientId: 'two', thingName: 'two', principal: 'two' }));
  });
});
