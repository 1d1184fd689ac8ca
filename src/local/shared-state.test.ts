import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppView, GatewayView, newSharedState } from './shared-state.ts';

/** The two threads' views, and the message that goes from one to the other. */
function twoViews() {
  const memory = newSharedState();
  const gateway = new GatewayView(memory);
  const view = new AppView(memory);
  const app = view.tail;
  const moveTo = (last: bigint, generation: number) => {
    const mustTell = gateway.setLastDurable(last, generation);
    if (mustTell) view.moved();
    return mustTell;
  };
  return { app, moveTo };
}

describe('what two threads share', () => {
  it('wakes a reader that waits when there is more, or when the shards are others, and costs no message otherwise', () => {
    const { app, moveTo } = twoViews();
    moveTo(5n, 1);
    const woken: string[] = [];
    app.onceMoved({ sequenceNumber: 5n, generation: 1 }, () => woken.push('more'));
    assert.equal(moveTo(5n, 1), true);
    assert.equal(woken.length, 0);
    assert.equal(moveTo(6n, 1), true);
    assert.deepEqual(woken, ['more']);
    assert.equal(moveTo(7n, 1), false); // Nobody waits.
    app.onceMoved({ sequenceNumber: 7n, generation: 1 }, () => woken.push('shards'));
    app.onceMoved({ sequenceNumber: 7n, generation: 1 }, () => woken.push('stopped'))();
    moveTo(7n, 2);
    assert.deepEqual(woken, ['more', 'shards']);
    assert.equal(app.lastSequenceNumber(), 7n);
    assert.equal(app.shardsGeneration(), 2);
  });

  it('wakes a reader that comes too late to hear of it', async () => {
    const { app, moveTo } = twoViews();
    moveTo(1n, 2);
    for (const seen of [
      { sequenceNumber: 0n, generation: 2 },
      { sequenceNumber: 1n, generation: 1 },
    ]) {
      await new Promise<void>(resolve => void app.onceMoved(seen, resolve));
    }
  });
});
