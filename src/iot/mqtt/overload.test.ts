import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryPressure } from '../../kernel/memory-pressure.ts';
import { GatewayWorld } from './gateway-world.ts';
import { reasonCodes } from './packets.ts';

describe('when memory is nearly full', () => {
  it('nobody new is let in, those who are there stay served, and it ends by itself (hostile R02)', async () => {
    let pressure = 0.1;
    const world = await GatewayWorld.start({ memoryPressure: () => pressure });
    const there = await world.connect('there');
    pressure = 0.95;
    await world.advance(1_000);
    for (const [version, code] of [
      [5, reasonCodes.serverBusy],
      [4, 3],
    ] as const) {
      const client = await world.socket(version);
      client.send(await world.connectPacket('new', { protocolVersion: version }));
      await world.settle();
      assert.equal(client.take('connack').reasonCode, code);
    }
    there.publish('chat/a', 'x');
    await world.settle();
    assert.equal(there.take('puback').reasonCode, 0);
    pressure = 0.5;
    await world.advance(1_000);
    await world.connect('new');
  });

  it('is measured as a share of what the process may have', () => {
    const pressure = memoryPressure();
    assert(pressure > 0 && pressure < 1, `${pressure}`);
  });
});
