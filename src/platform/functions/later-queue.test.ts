import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { noAlarms } from '../../kernel/alarms.ts';
import { delay } from '../../kernel/clock.ts';
import { Counters } from '../../kernel/counters.ts';
import { codeOf } from '../../kernel/errors.ts';
import { silentLog } from '../../kernel/log.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { memoryAdvice } from './advice.ts';
import { DueHeap } from './due-heap.ts';
import { DurationHistogram } from './histogram.ts';
import { FunctionHost } from './host.ts';
import type { LaterInvocation, LaterStore, OpenLater } from './later.ts';
import { LaterQueue, type LaterQueueOptions } from './later-queue.ts';
import { laterLimits } from './limits.ts';
import { LoopGuard } from './loop-guard.ts';

/** A store in memory that fails as it is told to. */
class MemoryStore implements LaterStore {
  readonly stored = new Map<string, LaterInvocation>();
  failing: string | undefined;

  async put(invocation: LaterInvocation): Promise<boolean> {
    this.#fail();
    if (this.stored.has(invocation.id)) return false;
    this.stored.set(invocation.id, invocation);
    return true;
  }

  putScheduled(invocation: LaterInvocation): Promise<boolean> {
    return this.put(invocation);
  }

  async begin(id: string): Promise<LaterInvocation | undefined> {
    this.#fail();
    const invocation = this.stored.get(id);
    if (invocation === undefined) return undefined;
    const begun = { ...invocation, attempts: invocation.attempts + 1 };
    this.stored.set(id, begun);
    return begun;
  }

  async putBack(id: string, _dueAtMs: number, attempts: number): Promise<void> {
    this.#fail();
    const invocation = this.stored.get(id);
    if (invocation !== undefined) this.stored.set(id, { ...invocation, attempts });
  }

  async finish({ id }: LaterInvocation, next?: LaterInvocation): Promise<void> {
    this.#fail();
    this.stored.delete(id);
    if (next !== undefined) this.stored.set(next.id, next);
  }

  async *open(): AsyncGenerator<OpenLater> {}

  #fail(): void {
    if (this.failing !== undefined) throw Object.assign(new Error('The store fails.'), { code: this.failing });
  }
}

function world(work: (functionName: string, input: string) => Promise<unknown>, bounds?: LaterQueueOptions['bounds']) {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const failures: unknown[] = [];
  let ids = 0;
  const newId = () => `id-${++ids}`;
  const host = new FunctionHost({ clock, newId, concurrencyMax: 10 });
  const queue = new LaterQueue({
    store,
    host,
    clock,
    newId,
    loopGuard: new LoopGuard({ alarms: noAlarms }),
    random: seededRandom(1),
    log: silentLog,
    counters: new Counters(),
    settingsOf: () => ({ attemptsMax: 3, eventAgeMsMax: laterLimits.eventAgeMsMaxDefault }),
    run: (place, { functionName, input }) =>
      place.invoke({ functionName, trigger: 'direct' }, () => work(functionName, input)),
    deadLetter: async () => {},
    bounds,
    onFailure: error => failures.push(error),
  });
  const invocation = (functionName: string, input = 'null'): LaterInvocation => {
    const id = newId();
    return { id, functionName, trigger: 'direct', input, eventId: id, dueAtMs: clock.nowMs(), attempts: 0 };
  };
  return { clock, store, host, queue, failures, invocation };
}

describe('a queue of calls', () => {
  it('refuses a function of which too many are open, and takes them again when some have ended', async () => {
    const { clock, queue, invocation } = world(async () => {}, { queuedPerFunctionMax: 3, queuedMax: 5 });
    for (let count = 0; count < 3; count++) await queue.put(invocation('busy'));
    await assert.rejects(queue.put(invocation('busy')), { code: 'function.queueFull', retryable: true });
    for (let count = 0; count < 2; count++) await queue.put(invocation('other'));
    await assert.rejects(queue.put(invocation('another')), { code: 'function.queueFull' });
    assert(await queue.putScheduled(invocation('busy'), 0)); // A time of a schedule is never refused.
    void queue.resume();
    await clock.advance(1_000);
    assert.deepEqual([queue.queued('busy'), queue.queued('other')], [0, 0]);
    await queue.put(invocation('busy'));
  });

  it('lets a function with few calls run beside one with many (covers S2-03)', async () => {
    const { clock, queue, invocation } = world(() => delay(clock, 100));
    await queue.resume();
    for (let count = 0; count < 1_000; count++) await queue.put(invocation('many'));
    await clock.advance(1);
    for (let count = 0; count < 5; count++) await queue.put(invocation('few'));
    await clock.advance(300);
    assert.equal(queue.queued('few'), 0);
    assert(queue.queued('many') > 900);
  });

  it('waits for a full disk, and says when storage fails otherwise', async () => {
    const done: string[] = [];
    const { clock, queue, store, failures, invocation } = world(async (_functionName, input) => {
      done.push(input);
      if (done.length === 1) store.failing = 'store.full'; // What has been done cannot be noted.
    });
    await queue.resume();
    await queue.put(invocation('patient', '1'));
    await clock.advance(10_000);
    await assert.rejects(queue.put(invocation('patient', '2')), { code: 'store.full' });
    store.failing = undefined;
    await clock.advance(1_000);
    assert.deepEqual([done, queue.queued('patient'), store.stored.size, failures], [['1'], 0, 0, []]);
    store.failing = 'store.failed';
    await assert.rejects(queue.put(invocation('patient', '3')), { code: 'store.failed' });
    store.failing = undefined;
    await queue.put(invocation('patient', '4'));
    store.failing = 'store.failed';
    await clock.advance(1_000);
    assert.deepEqual(failures.map(codeOf), ['store.failed']);
  });

  it('stops when it is told to, and leaves what has not begun where it lies', async () => {
    const { clock, queue, host, store, invocation } = world(() => delay(clock, 1_000));
    await queue.resume();
    for (let count = 0; count < 30; count++) await queue.put(invocation('slow'));
    await clock.advance(500);
    host.stop();
    await clock.until(queue.close());
    assert.equal(store.stored.size, 20); // Ten had begun, and have ended.
    assert([...store.stored.values()].every(({ attempts }) => attempts === 0));
  });
});

describe('a heap of things that fall due', () => {
  it('gives them by time, and those of one time in the order they came', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), dues => {
        const heap = new DueHeap<string>();
        for (const [index, dueMs] of dues.entries())
          heap.push(dueMs, `${String(dueMs).padStart(2)} ${String(index).padStart(3)}`);
        const taken: string[] = [];
        for (let nowMs = 0; nowMs <= 20; nowMs++) {
          for (let item = heap.take(nowMs); item !== undefined; item = heap.take(nowMs)) taken.push(item);
        }
        assert.deepEqual(taken, taken.toSorted());
        assert.deepEqual([taken.length, heap.size, heap.nextMs], [dues.length, 0, undefined]);
      }),
    );
  });
});

describe('how long things took', () => {
  it('is known to within an eighth, whatever the number', () => {
    const histogram = new DurationHistogram();
    assert.deepEqual([histogram.percentileMs(0.5), histogram.averageMs], [0, 0]);
    for (let ms = 1; ms <= 10_000; ms++) histogram.add(ms);
    for (const [share, expected] of [
      [0.5, 5_000],
      [0.99, 9_900],
      [1, 10_000],
    ]) {
      const found = histogram.percentileMs(share);
      assert(found >= expected * 0.999 && found <= expected * 1.125, `${found} for ${expected}`);
    }
    histogram.add(10 ** 12);
    histogram.add(0);
    assert.equal(histogram.count, 10_002);
  });
});

describe('the advice on memory (covers S1-10)', () => {
  const megabytes = (count: number) => count * 2 ** 20;

  it('is a whole processor for what computes, and no more', () => {
    const { memoryMegabytes, boundBy, durationMs } = memoryAdvice({
      durationMs: 800,
      cpuMs: 795,
      memoryBytes: megabytes(20),
    });
    assert.deepEqual([memoryMegabytes, boundBy, durationMs], [1_769, 'processor', 800]);
  });

  it('is what holds the memory for what needs much of it', () => {
    const { memoryMegabytes, boundBy } = memoryAdvice({ durationMs: 500, cpuMs: 20, memoryBytes: megabytes(900) });
    assert.deepEqual([memoryMegabytes, boundBy], [1_216, 'memory']); // 900 × 1.25 and 64, in steps of 64
    assert.equal(memoryAdvice({ durationMs: 1, cpuMs: 1, memoryBytes: megabytes(50_000) }).memoryMegabytes, 10_240);
  });

  it('is the smallest for what waits, and in between for what does both', () => {
    const waiting = memoryAdvice({ durationMs: 200, cpuMs: 5, memoryBytes: megabytes(15) });
    assert.deepEqual([waiting.memoryMegabytes, waiting.boundBy], [128, 'waiting']);
    const both = memoryAdvice({ durationMs: 100, cpuMs: 25, memoryBytes: megabytes(15) });
    assert.deepEqual([both.memoryMegabytes, both.boundBy], [640, 'processor']);
  });

  it('is the size at which time multiplied by price is least', () => {
    const productAt = (memory: number, waitingMs: number, cpuMs: number) => {
      const durationMs = waitingMs + (cpuMs * 1_769) / Math.min(memory, 1_769);
      return durationMs * durationMs * memory;
    };
    for (const [waitingMs, cpuMs] of [
      [100, 10],
      [50, 30],
      [10, 100],
      [300, 40],
    ]) {
      const { memoryMegabytes } = memoryAdvice({ durationMs: waitingMs + cpuMs, cpuMs, memoryBytes: undefined });
      const found = productAt(memoryMegabytes, waitingMs, cpuMs);
      for (let memory = 128; memory <= 10_240; memory += 64) {
        assert(found <= productAt(memory, waitingMs, cpuMs) * 1.02, `${memory} is better than ${memoryMegabytes}`);
      }
    }
  });

  it('costs what the list says (class A, Tokyo and Virginia), and says what it does not know', () => {
    const { dollarsPerMillion, unknown } = memoryAdvice({ durationMs: 200, cpuMs: undefined, memoryBytes: undefined });
    assert.equal(dollarsPerMillion.toFixed(4), (0.2 + 0.125 * 0.2 * 1e6 * 0.0000166667).toFixed(4));
    assert.deepEqual(unknown, ['memory', 'processor']);
  });
});
