/** Hostile inputs of group A against a whole gateway: names that try to be patterns, and rules that are not what they seem. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../kernel/random.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { FileAccess, ThingAccess } from '../access/index.ts';
import { Rights } from '../access/rights.ts';
import { PolicyEngine } from '../things/index.ts';
import { bites, GatewayWorld, testPolicy } from './gateway-world.ts';
import { reasonCodes } from './packets.ts';

/** Anybody may come in; what they may do is in the ACL. */
async function worldWithAcl(acl: string): Promise<GatewayWorld> {
  const clock = new VirtualClock();
  const files = new TestDisk({ clock, random: seededRandom(1) });
  const write = async () => {
    const file = await files.open('/acl', { create: true });
    await file.write(Buffer.from(acl), 0);
  };
  await clock.until(write());
  const options = { files, clock, random: seededRandom(2), aclFile: '/acl', allowAnonymous: true };
  return GatewayWorld.start({ access: await clock.until(FileAccess.open(options)) });
}

const hostileNames = [
  '+',
  '#',
  'a/b',
  'a/../b',
  '*',
  '?',
  '$\x7biot:ClientId}',
  '%c',
  '%u',
  '$SYS',
  '$share',
  'x/#',
  '+/+',
];

describe('a name that looks like a pattern', () => {
  const widensNothing = async () => {
    const world = await worldWithAcl('pattern readwrite own/%c/#\n');
    const victim = await world.connect('victim');
    victim.subscribe('own/victim/#');
    await world.settle();
    victim.take('suback');
    for (const clientId of hostileNames) {
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), clientId });
      await world.settle();
      const { reasonCode } = client.take('connack');
      if (clientId.startsWith('$')) assert.equal(reasonCode, reasonCodes.clientIdentifierNotValid);
      if (reasonCode !== 0) continue;
      client.publish('own/victim/door', 'open');
      client.subscribe(['own/victim/#', 'own/+/door', 'own/#', '#']);
      await world.durable();
      const answers = client.takeAll();
      const puback = answers.find(packet => packet.type === 'puback');
      assert.equal(puback?.type === 'puback' && puback.reasonCode, reasonCodes.notAuthorized, clientId);
      const suback = answers.find(packet => packet.type === 'suback');
      assert(suback?.type === 'suback' && suback.reasonCodes[0] === reasonCodes.notAuthorized, clientId);
      await world.clock.until(world.gateway.publish({ topic: 'own/victim/secret', payload: Buffer.from('x'), qos: 1 }));
      await world.settle();
      assert.deepEqual(client.takeMessages(), [], clientId); // A wider filter may be granted; each message is judged.
      client.cut();
    }
    assert.deepEqual(new Set(victim.takeMessages()), new Set(['x']));
  };
  it('gives its client no right but over itself, by patterns of an ACL file (hostile A01)', async () => {
    await widensNothing();
    const { mayReceive } = Rights.prototype;
    await bites(Rights.prototype, 'mayReceive', { value: () => true, writable: true }, widensNothing);
    assert.equal(Rights.prototype.mayReceive, mayReceive);
  });

  const isNoThing = async () => {
    const world = await GatewayWorld.start();
    await world.connect('one');
    for (const clientId of hostileNames) {
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), clientId, username: clientId });
      await world.settle();
      assert.equal(client.take('connack').reasonCode, reasonCodes.clientIdentifierNotValid, clientId);
      await assert.rejects(world.clock.until(world.gateway.createThing(clientId)), { code: 'thing.nameNotValid' });
    }
  };
  it('is never the name of a thing (hostile A01)', async () => {
    await isNoThing();
    const { authenticate } = ThingAccess.prototype;
    const trusting: typeof authenticate = function (this: ThingAccess, attempt) {
      const { clientId } = attempt;
      return { admitted: true, identity: { clientId, thingName: clientId, principal: clientId } };
    };
    await bites(ThingAccess.prototype, 'authenticate', { value: trusting, writable: true }, isNoThing);
  });
});

describe('a rule that forbids with wildcards', () => {
  const forbidsWhatItMatches = async () => {
    const world = await worldWithAcl('topic readwrite building/#\ntopic deny building/control_room/#\n');
    const spy = await world.connect('spy');
    spy.subscribe(['building/#', 'building/+/x', 'building/control_room/#', 'building/control_room/x', '#', '+/+/x']);
    await world.settle();
    const codes = spy.take('suback').reasonCodes;
    assert.deepEqual(codes.slice(2, 4), [reasonCodes.notAuthorized, reasonCodes.notAuthorized]);
    for (const topic of ['building/control_room/x', 'building/control_room', 'building/hall/x']) {
      await world.clock.until(world.gateway.publish({ topic, payload: Buffer.from(topic), qos: 1, retain: true }));
    }
    spy.publish('building/control_room/x', 'open');
    await world.durable();
    const heard = spy.takeAll();
    assert.deepEqual(
      heard.flatMap(packet => (packet.type === 'publish' ? [packet.topic] : [])),
      ['building/hall/x'],
    );
    const puback = heard.find(packet => packet.type === 'puback');
    assert.equal(puback?.type === 'puback' && puback.reasonCode, reasonCodes.notAuthorized);
    spy.subscribe(['building/+/x', 'building/#']); // Retained messages are deliveries as well.
    await world.durable();
    const retained = spy.takeAll().flatMap(packet => (packet.type === 'publish' ? [packet.topic] : []));
    assert.deepEqual(new Set(retained), new Set(['building/hall/x']));
  };
  it('forbids all that it matches, however wide the filter that asks (hostile A02)', async () => {
    await forbidsWhatItMatches();
    await bites(Rights.prototype, 'mayReceive', { value: () => true, writable: true }, forbidsWhatItMatches);
  });

  const hasNoHalfMeaning = async () => {
    const world = await GatewayWorld.start();
    const bad = ['a/#/b', 'a+', 'a#', '+a/b', 'a/b#', '', '#/'];
    for (const filter of bad) {
      for (const kind of ['publish', 'ingest', 'subscribe'] as const) {
        const policy = { ...testPolicy, [kind]: [filter] };
        assert.throws(() => world.policy.replace(policy), { name: /Error/ }, `${kind} ${filter}`);
      }
    }
    const client = await world.connect('one');
    client.publish('chat/a', 'still allowed');
    await world.durable();
    assert.equal(client.take('puback').reasonCode, 0); // The last good policy is in force.
  };
  it('or means something else than it seems to is refused with the policy it stands in (hostile A02, A06)', async () => {
    await hasNoHalfMeaning();
    await bites(PolicyEngine.prototype, 'replace', { value: () => {}, writable: true }, hasNoHalfMeaning);
  });
});
