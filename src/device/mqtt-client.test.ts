import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from '../iot/mqtt/decode.ts';
import { encode } from '../iot/mqtt/encode.ts';
import { GatewayWorld } from '../iot/mqtt/gateway-world.ts';
import type { ConnackProperties, Packet } from '../iot/mqtt/packets.ts';
import { reasonCodes } from '../iot/mqtt/packets.ts';
import { MemorySockets } from '../kernel/memory-sockets.ts';
import type { Socket } from '../kernel/sockets.ts';
import { VirtualClock } from '../kernel/virtual-clock.ts';
import { MqttClient, type MqttClientOptions } from './mqtt-client.ts';

describe('a device on our gateway', () => {
  const connect = async (world: GatewayWorld, options: Partial<MqttClientOptions> = {}) => {
    const { clock, sockets, port } = world;
    const credentials = await world.thing('one');
    return clock.until(MqttClient.connect({ clock, sockets, host: 'test', port, ...credentials, ...options }));
  };

  it('publishes more than the server has room for at once, in order, and is acknowledged for each', async () => {
    for (const protocolVersion of [4, 5] as const) {
      const world = await GatewayWorld.start();
      const device = await connect(world, { protocolVersion });
      const all = Array.from({ length: 500 }, (_, n) => device.publish('dt/app/one/reading', `${n}`));
      await world.clock.until(Promise.all(all));
      assert.deepEqual(
        await world.telemetry(),
        Array.from({ length: 500 }, (_, n) => `${n}`),
      );
    }
  });

  it('is told why it is refused, and can tell a lost connection from it', async () => {
    const world = await GatewayWorld.start();
    await assert.rejects(connect(world, { password: 'wrong' }), { code: 'device.refused' });
    await world.settle();
    assert.equal(world.gateway.connections.size, 0);
    let ends = 0;
    const device = await connect(world, { onClose: () => ends++ });
    await assert.rejects(world.clock.until(device.publish('forbidden', 'x')), { code: 'device.refused' });
    await assert.rejects(world.clock.until(device.subscribe('#')), { code: 'device.refused' });
    await assert.rejects(world.clock.until(device.publish('chat/a', Buffer.alloc(300_000))), {
      code: 'device.packetTooLarge',
    });
    await world.clock.until(device.publish('chat/a', 'x')); // None of this has ended it.
    const unanswered = device.publish('dt/app/one/reading', 'x');
    device.drop();
    await assert.rejects(world.clock.until(unanswered), { code: 'device.disconnected' });
    await assert.rejects(device.publish('chat/a', 'x'), { code: 'device.disconnected' });
    assert.equal(ends, 1);
  });

  it('stays connected by its pings for as long as nobody cuts it', async () => {
    const world = await GatewayWorld.start();
    for (const keepAliveSeconds of [0, 5, 2_000]) {
      const device = await connect(world, { keepAliveSeconds });
      await world.advance((4 * 3_600_000) / (keepAliveSeconds === 5 ? 100 : 1));
      await world.clock.until(device.publish('chat/a', 'x'));
      device.disconnect();
      await world.settle();
    }
  });

  it('loses its connection, not its process, when its handler throws, and gets that message again (hostile R03)', async () => {
    const world = await GatewayWorld.start();
    const lasting = { cleanStart: false, sessionExpirySeconds: 60 };
    const device = await connect(world, {
      ...lasting,
      onMessage: () => {
        throw new Error('a bug of the device');
      },
    });
    await world.clock.until(device.subscribe('cmd/app/one/#'));
    const waiting = device.publish('dt/app/one/reading', 'x');
    waiting.catch(() => {});
    await world.gateway.publish({ topic: 'cmd/app/one/req', payload: Buffer.from('play'), qos: 1 });
    await world.settle();
    await assert.rejects(
      waiting,
      (error: Error) => error.cause instanceof Error && error.cause.message === 'a bug of the device',
    );
    const seen: string[] = [];
    await connect(world, { ...lasting, onMessage: (_topic, payload) => seen.push(Buffer.from(payload).toString()) });
    await world.settle();
    assert.deepEqual(seen, ['play']);
  });
});

describe('a device on a server that is not ours', () => {
  it('keeps to the Receive Maximum it was given [MQTT5 3.3.4-7]', async () => {
    const { clock, server, device } = await connectTo({ receiveMaximum: 2 });
    const all = Promise.all(['a', 'b', 'c'].map(text => device.publish('t', text)));
    await clock.settle();
    assert.deepEqual(server.packetIds(), [1, 2]);
    server.answer(2);
    await clock.settle();
    assert.deepEqual(server.packetIds(), [1, 2, 3]);
    server.answer(3);
    server.answer(3);
    server.answer(1);
    await clock.until(all);
  });

  it('never uses an id that is still in flight, and refuses more than it can remember (hostile S07)', async () => {
    const { clock, server, device } = await connectTo({});
    const stuck = device.publish('t', 'stuck');
    stuck.catch(() => {});
    for (let round = 0; round < 70; round++) {
      const batch = Array.from({ length: 1_000 }, () => device.publish('t', 'x'));
      await clock.settle();
      const ids = server.packetIds().slice(-1_000);
      assert.equal(new Set(ids).size, 1_000);
      assert(!ids.includes(1));
      for (const id of ids) server.answer(id);
      await clock.until(Promise.all(batch));
    }
    const many = Array.from({ length: 9_999 }, () => device.publish('t', 'x'));
    for (const each of many) each.catch(() => {});
    await assert.rejects(device.publish('t', 'x'), { code: 'device.busy', retryable: true });
    device.drop();
  });

  it('pings as often as the server wants, and gives up one that does not answer [MQTT5 3.2.2-21]', async () => {
    const { clock, server, device } = await connectTo({ serverKeepAliveSeconds: 10 });
    await clock.advance(8_000);
    assert.equal(server.received.at(-1)?.type, 'pingreq');
    await clock.advance(8_000);
    await assert.rejects(device.publish('t', 'x'), { code: 'device.disconnected' });
  });

  it('gives up a server that does not answer CONNECT', async () => {
    const clock = new VirtualClock();
    const sockets = new MemorySockets(clock);
    const { port } = await sockets.listen({ host: 'test', port: 0 }, () => {});
    const connecting = MqttClient.connect({
      clock,
      sockets,
      host: 'test',
      port,
      clientId: 'a',
      username: 'a',
      password: 'b',
    });
    await assert.rejects(clock.until(connecting), { code: 'device.disconnected' });
    assert(clock.monotonicMs() >= 10_000);
  });

  it('ends when the server speaks nonsense or says goodbye', async () => {
    for (const bytes of [
      Buffer.from('0000', 'hex'),
      encode({ type: 'disconnect', reasonCode: reasonCodes.serverShuttingDown }, 5),
    ]) {
      const { clock, server, device } = await connectTo({});
      server.socket?.write(bytes);
      await clock.settle();
      await assert.rejects(device.publish('t', 'x'), { code: 'device.disconnected' });
    }
  });
});

/** A server that takes everything and answers when told to. */
class QuietServer {
  readonly received: Packet[] = [];
  socket: Socket | undefined;

  accept(socket: Socket, properties: ConnackProperties): void {
    this.socket = socket;
    socket.start({ data: bytes => this.#receive(bytes, properties), drain: () => {}, close: () => {} });
  }

  packetIds(): number[] {
    return this.received.flatMap(packet => (packet.type === 'publish' ? [packet.packetId] : []));
  }

  answer(packetId: number): void {
    this.socket?.write(encode({ type: 'puback', packetId, reasonCode: 0 }, 5));
  }

  #receive(bytes: Buffer, properties: ConnackProperties): void {
    for (let position = 0; position < bytes.length; ) {
      const version = this.received.length === 0 ? 0 : 5;
      const packet = decode(bytes, position, bytes.length, { version, packetBytesMax: 1_000_000, from: 'client' });
      assert(packet && packet.type !== 'refusal');
      position += packet.byteLength;
      this.received.push(packet);
      if (packet.type === 'connect') {
        this.socket?.write(encode({ type: 'connack', sessionPresent: false, reasonCode: 0, properties }, 5));
      }
    }
  }
}

async function connectTo(properties: ConnackProperties) {
  const clock = new VirtualClock();
  const sockets = new MemorySockets(clock);
  const server = new QuietServer();
  const { port } = await sockets.listen({ host: 'test', port: 0 }, socket => server.accept(socket, properties));
  const options = { clientId: 'a', username: 'a', password: 'b' };
  const device = await clock.until(MqttClient.connect({ clock, sockets, host: 'test', port, ...options }));
  return { clock, server, device };
}
