import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Broker } from '../../src/iot/mqtt/broker.ts';
import { Connection } from '../../src/iot/mqtt/connection.ts';
import { bites } from '../../src/iot/mqtt/gateway-world.ts';
import { Session } from '../../src/iot/mqtt/session.ts';
import { PolicyEngine } from '../../src/iot/things/index.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { testScale } from '../support.ts';
import { isKnown } from './corpus.ts';
import { runSessions } from './sessions.ts';

describe('the gateway, in malformed conversations', () => {
  const count = testScale(50, 20_000);
  const isShort = testScale(1, 0) === 1 && 'part of npm run test:long';

  it(`keeps every promise over ${count.toLocaleString('en')} of them (hostile W03, W05, W16, S01, S08, R03)`, async t => {
    const seed = systemRandom.integer(2 ** 32);
    t.diagnostic(`seed ${seed}: npm run fuzz -- mqtt --seed ${seed} --count 0 --sessions ${count}`);
    const { counts, findings } = await runSessions({ seed, first: 0, count, isKnown });
    assert.deepEqual(findings, []);
    // Conversations that end at the door would test nothing.
    assert(counts.connected > counts.sessions, `${counts.connected} connected`);
    assert(counts.published > counts.sessions, `${counts.published} published`);
    assert(counts.refused > counts.sessions / 4, `${counts.refused} refused`);
  });

  /** A defence that is taken away is missed within a few gateways. */
  const holds = async () => {
    const { findings } = await runSessions({ seed: 1, first: 50, count: 200, isKnown, shortens: false });
    assert.deepEqual(
      findings.map(({ oracle }) => oracle),
      [],
    );
  };
  const nothing = { value: () => {}, writable: true };
  const acknowledgesAll = { value: () => true, writable: true };
  const allows = { value: () => ({ allowed: true, ingest: false }), writable: true };
  it('is given conversations that it holds with all its defences', holds);
  it('misses the policy', () => bites(PolicyEngine.prototype, 'judgePublish', allows, holds));
  it('misses a session that lets go of what was acknowledged', { skip: isShort }, () =>
    bites(Session.prototype, 'acknowledge', acknowledgesAll, holds),
  );
  it('misses the end of the connection before', { skip: isShort }, () =>
    bites(Connection.prototype, 'takenOver', nothing, holds),
  );
  it('misses the end of a session', { skip: isShort }, () => bites(Broker.prototype, 'detach', nothing, holds));
});
