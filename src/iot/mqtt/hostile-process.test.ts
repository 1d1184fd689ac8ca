/** Hostile inputs of group R against a whole gateway: descriptors, memory, errors of ours, logs and counters. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Counters } from '../../kernel/counters.ts';
import { connectionShares } from '../../kernel/descriptors.ts';
import type { Access } from '../access/port.ts';
import { Broker } from './broker.ts';
import { brokerLimits } from './broker-limits.ts';
import { Connection } from './connection.ts';
import { bites, GatewayWorld, publishPacket } from './gateway-world.ts';
import { lasting, openDoor, openWorld } from './hostile-world.ts';
import { reasonCodes } from './packets.ts';

const kernel = (file: string) =>
  JSON.stringify(pathToFileURL(path.join(import.meta.dirname, '../../kernel', file)).href);

describe('descriptors', () => {
  /** A listener in a process that may open few files; asked, it tries to open one of its own. */
  const areLeftForStorage = async (connectionsMax: number) => {
    const code = `
      import { openSync, closeSync } from 'node:fs';
      import { createInterface } from 'node:readline';
      import { systemSockets } from ${kernel('sockets.ts')};
      let accepted = 0;
      const listener = await systemSockets.listen(
        { host: '127.0.0.1', port: 0, connectionsMax: ${connectionsMax} },
        socket => {
          accepted++;
          socket.start({ data() {}, drain() {}, close() {} });
        },
      );
      console.log(listener.port);
      createInterface({ input: process.stdin }).on('line', line => {
        if (line === 'count') return console.log(accepted);
        try {
          for (let n = 0; n < 20; n++) openSync('/dev/null');
          console.log('opened');
        } catch (error) {
          console.log(error.code);
        }
      });`;
    const command = [process.execPath, '--input-type=module', '-e', code];
    const child = spawn('sh', ['-c', `ulimit -n ${descriptors}; exec "$@"`, 'sh', ...command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const strangers: net.Socket[] = [];
    try {
      const port = Number((await lines.next()).value);
      let turnedAway = 0;
      for (let n = 0; n < 300; n++) {
        const stranger = net.connect({ host: '127.0.0.1', port }).on('error', () => {});
        strangers.push(stranger.on('close', () => turnedAway++));
      }
      const ask = async (question: string) => {
        child.stdin.write(`${question}\n`);
        return (await lines.next()).value;
      };
      while (Number(await ask('count')) + turnedAway < 300); // Each was let in or turned away.
      assert.equal(await ask('open'), 'opened');
    } finally {
      for (const stranger of strangers) stranger.destroy();
      child.kill('SIGKILL');
    }
  };
  const descriptors = 128;
  it('are left for storage when strangers take all they can (hostile R01)', async () => {
    await areLeftForStorage(connectionShares(descriptors).mqtt);
    await assert.rejects(areLeftForStorage(1_000_000), assert.AssertionError);
  });
});

describe('memory that is nearly used up by what waits', () => {
  const limits = { ...brokerLimits, queuedBytesTotalMax: 1_000_000, queuedBytesMax: 400_000 };
  const shedsTheNewest = async () => {
    const { world, listener } = await openWorld({}, { limits });
    for (let n = 0; n < 4; n++) {
      const away = await world.connect(`away-${n}`, lasting);
      away.subscribe('chat/#');
      await world.settle();
      away.cut();
    }
    const sender = await world.connect('sender');
    for (let n = 0; n < 400; n++) {
      sender.publish('chat/a', Buffer.alloc(1_000));
      await world.settle();
    }
    await world.durable();
    assert.equal(listener.takeMessages().length, brokerLimits.inflightMax); // Its window: it acknowledges nothing.
    assert(world.counters.get('mqtt.dropped.qos1') > 0);
    const stranger = await world.socket();
    stranger.send({ ...(await world.connectPacket('one')), clientId: 'new' });
    await world.settle();
    assert.equal(stranger.take('connack').reasonCode, reasonCodes.serverBusy);
    sender.takeAll();
    sender.publish('other', 'still served');
    await world.durable();
    assert.equal(sender.take('puback').reasonCode, 0);
    for (let n = 0; n < 4; n++) {
      const back = await world.connect(`away-${n}`, { cleanStart: true }); // Who has a session may come, and makes room.
      back.cut();
    }
    await world.settle();
    await world.connect('new');
  };
  it('lets nobody new in, serves who is there, and ends by itself (hostile R02)', async () => {
    await shedsTheNewest();
    await bites(Broker.prototype, 'isOverloaded', { get: () => false }, shedsTheNewest);
  });
});

describe('an error of ours in any hook', () => {
  const failing: Record<string, Partial<Access>> = {
    'authenticate, at once': {
      authenticate: attempt => {
        if (attempt.clientId === 'bad') throw new Error('a bug');
        return openDoor().authenticate(attempt);
      },
    },
    'authenticate, later': {
      authenticate: attempt =>
        attempt.clientId === 'bad' ? Promise.reject(new Error('a bug')) : openDoor().authenticate(attempt),
    },
    judgePublish: {
      judgePublish: ({ clientId }) => {
        if (clientId === 'bad') throw new Error('a bug');
        return { allowed: true, ingest: false };
      },
    },
    maySubscribe: {
      maySubscribe: ({ clientId }) => {
        if (clientId === 'bad') throw new Error('a bug');
        return true;
      },
    },
  };
  for (const [name, change] of Object.entries(failing)) {
    for (const durable of [false, true]) {
      const isContained = async () => {
        const { world, listener } = await openWorld(change, { durable });
        const good = await world.connect('good', lasting);
        const bad = await world.socket();
        bad.send({ ...(await world.connectPacket('one')), clientId: 'bad' });
        await world.durable();
        bad.subscribe('chat/#');
        bad.publish('chat/a', 'from the bad one');
        await world.durable();
        assert(bad.isClosed);
        const last = bad.takeAll().at(-1);
        assert(last === undefined || (last.type === 'disconnect' && last.reasonCode === reasonCodes.unspecifiedError));
        assert.equal(world.counters.get('mqtt.failed.connection'), 1);
        assert(!good.isClosed && !listener.isClosed);
        good.publish('chat/a', 'from the good one');
        await world.durable();
        assert.equal(good.take('puback').reasonCode, 0);
        assert.deepEqual(listener.takeMessages(), ['from the good one']);
        assert.deepEqual(world.failures, []);
      };
      it(`costs the connection it happened on, and nobody else: ${name}${durable ? ', durable' : ''} (hostile R03)`, async () => {
        await isContained();
        if (name.startsWith('authenticate')) return;
        await bites(Connection.prototype, 'end', { value: () => {}, writable: true }, isContained);
      });
    }
  }
});

const hostileIds = [
  'a\nb',
  'a\r\n{"level":50}',
  '\u001b[31mred\u001b[0m',
  '\u0007\u0008',
  '\u2028\u2029',
  '"}',
  '%s%n',
  'x'.repeat(120),
];

describe('what clients chose in the log', () => {
  /** The lines that a process with our log, or with a naive one, writes to standard error. */
  const linesOf = (kind: 'ours' | 'naive', count: number): string[] => {
    const code = `
      import { openLog } from ${kernel('log.ts')};
      const naive = { warn: (facts, message) => process.stderr.write(\`\${facts.clientId}: \${message}\\n\`) };
      const log = ${kind === 'ours' ? "openLog('warn')" : 'naive'};
      const ids = ${JSON.stringify(hostileIds)};
      for (let n = 0; n < ${count}; n++) log.warn({ clientId: ids[n % ids.length] }, 'A connection was refused.');`;
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stderr.split('\n').filter(line => line !== '');
  };
  const isEscaped = async (kind: 'ours' | 'naive') => {
    const lines = linesOf(kind, hostileIds.length);
    assert.equal(lines.length, hostileIds.length, 'a client made a line of its own');
    for (const [n, line] of lines.entries()) {
      assert(!/[\u0000-\u001f]/.test(line), 'a control character reached the terminal');
      assert.equal(JSON.parse(line).clientId, hostileIds[n]);
    }
  };
  const isLimited = async (kind: 'ours' | 'naive') => {
    const lines = linesOf(kind, 10_000);
    assert(lines.length <= 60, `${lines.length} lines for 10,000 refusals`); // 20 a second of one kind.
  };
  it('is escaped, so that nobody forges a line or a colour (hostile R06)', async () => {
    await isEscaped('ours');
    await assert.rejects(isEscaped('naive'), assert.AssertionError);
  });
  it('comes so many times a second and no more (hostile R06)', async () => {
    await isLimited('ours');
    await assert.rejects(isLimited('naive'), assert.AssertionError);
  });

  it('is cut, and never a password or a payload (hostile R06)', async () => {
    const refusing = openDoor({ judgePublish: () => ({ allowed: false, ingest: false }), maySubscribe: () => false });
    const world = await GatewayWorld.start({ access: refusing });
    for (const clientId of hostileIds) {
      const client = await world.socket();
      client.send({ ...(await world.connectPacket('one')), clientId, password: Buffer.from('hunter2') });
      client.publish('t/'.repeat(30) + 'x'.repeat(900), 'hunter2');
      client.subscribe('t/'.repeat(30) + 'x'.repeat(900));
      client.sendBytes(Buffer.from('ff'.repeat(50), 'hex'));
      await world.durable();
    }
    assert(world.logged.length >= 3 * hostileIds.length);
    for (const { facts, message } of world.logged) {
      const line = JSON.stringify({ ...facts, message });
      assert(line.length < 500, `${line.length} characters`);
      assert(!line.includes('hunter2') && !line.includes('xxx'.repeat(50)));
    }
  });
});

describe('counters', () => {
  const haveFewNames = async () => {
    const { world } = await openWorld({
      judgePublish: (_, topic) => ({ allowed: !topic.startsWith('no'), ingest: false }),
    });
    const visit = async (n: number) => {
      const client = await world.connect(`client-${n}`, lasting);
      client.subscribe([`topic/${n}`, `$share/g${n}/x`]);
      client.send(publishPacket(`topic/${n}`, 'x', { packetId: 1 }), publishPacket(`no/${n}`, 'x', { packetId: 2 }));
      client.ack(n + 1);
      await world.settle();
      client.sendBytes(Buffer.from('0000', 'hex'));
      await world.settle();
    };
    for (let n = 0; n < 20; n++) await visit(n);
    await world.durable();
    const names = Object.keys(await world.gateway.counters()).length;
    for (let n = 20; n < 200; n++) await visit(n);
    assert.equal(Object.keys(await world.gateway.counters()).length, names);
  };
  it('have no names of clients or topics, however many there are (hostile R07)', async () => {
    await haveFewNames();
    const { add } = Counters.prototype;
    let calls = 0;
    const perClient: typeof add = function (this: Counters, name, by) {
      add.call(this, `${name}.${calls++}`, by);
    };
    await bites(Counters.prototype, 'add', { value: perClient, writable: true }, haveFewNames);
  });
});
