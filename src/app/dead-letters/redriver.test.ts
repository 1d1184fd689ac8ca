import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readEnvelope } from '../../iot/rules/index.ts';
import { causeLimits } from '../../kernel/causes.ts';
import { delay } from '../../kernel/clock.ts';
import { MimamoriError } from '../../kernel/errors.ts';
import { resultLetter } from './from-events.ts';
import { LettersWorld } from './letters-world.ts';
import { redriveLimits } from './limits.ts';
import type { RedrivenEvent } from './port.ts';

/** The record a handler was given. */
function recordOf(event: RedrivenEvent) {
  assert('record' in event);
  return event.record;
}

describe('a redrive', () => {
  it('gives letters to their handler again as they came: handled ones are gone, the others stay with the new reason', async () => {
    const world = await new LettersWorld().start();
    const topic = 'dt/app/lights/lamp/state';
    const cause = { depth: 1, originId: 'o', path: ['f'] };
    await world.keep(...[1, 2, 3].map(number => world.letter(number, { topic, cause })));
    const given: string[] = [];
    world.run = async (consumer, event) => {
      const record = recordOf(event);
      const message = readEnvelope(record.data);
      given.push(
        `${consumer} ${record.sequenceNumber} ${record.partitionKey} ${message?.topic} ${message?.payload} ${message?.cause?.depth}`,
      );
      if (record.sequenceNumber === 2n)
        throw new MimamoriError({ code: 'still.broken', message: 'Still.', fix: 'Wait.' });
    };
    const state = await world.redrive({ filter: { consumer: 'lights' } });
    assert.deepEqual(
      given,
      [1, 2, 3].map(number => `lights ${number} lamp ${topic} {"number":${number}} 1`),
    );
    assert.deepEqual([state.state, state.expected, state.handled, state.failed, state.refused], ['done', 3, 2, 1, 0]);
    const [letter] = (await world.until(world.dead.letters.page({}))).letters;
    assert.deepEqual(
      [letter.sequenceNumber, letter.error.code, letter.attempts, letter.redrives],
      ['2', 'still.broken', 4, 1],
    );
    assert.deepEqual(state.failures, [{ id: letter.id, code: 'still.broken', message: 'Still.' }]);
    assert.equal((await world.until(world.dead.letters.countOf('lights'))).letters, 1);
  });

  it('takes one letter, some, or all, to the same or to another consumer', async () => {
    const world = await new LettersWorld().start();
    await world.keep(
      ...[1, 2, 3, 4, 5, 6].map(number =>
        world.letter(number, { thingName: `t${number % 2}`, consumer: number < 5 ? 'lights' : 'doors' }),
      ),
    );
    const given: string[] = [];
    world.run = async (consumer, event) => void given.push(`${consumer}:${recordOf(event).sequenceNumber}`);
    const [id] = await world.ids({ thingName: 't1', consumer: 'lights' });
    await world.redrive({ ids: [id, 'gone'] });
    await world.redrive({ filter: { thingName: 't0', consumer: 'lights' }, to: 'others' });
    await world.redrive();
    assert.deepEqual(given, ['lights:3', 'others:2', 'others:4', 'doors:5', 'doors:6', 'lights:1']);
    assert.deepEqual(await world.ids(), []);
  });

  it('keeps the order of each partition key, whatever fails, across pages (covers S2-19)', async () => {
    const world = await new LettersWorld().start();
    for (let number = 1; number <= 250; number++)
      await world.keep(world.letter(number, { thingName: `t${number % 7}` }));
    const given = new Map<string, number[]>();
    world.run = async (_consumer, event) => {
      const { partitionKey, sequenceNumber } = recordOf(event);
      await delay(world.clock, Number(sequenceNumber) % 13);
      given.set(partitionKey, [...(given.get(partitionKey) ?? []), Number(sequenceNumber)]);
      if (Number(sequenceNumber) % 50 === 0) throw new Error('no');
    };
    const state = await world.redrive({ perSecond: 10_000 });
    assert.deepEqual([state.handled, state.failed], [245, 5]);
    for (const numbers of given.values())
      assert.deepEqual(
        numbers,
        numbers.toSorted((left, right) => left - right),
      );
  });

  it('goes no faster than it is told, and stops when it is told', async () => {
    const world = await new LettersWorld().start();
    for (let number = 1; number <= 30; number++) await world.keep(world.letter(number));
    const atMs: number[] = [];
    world.run = async () => void atMs.push(world.clock.monotonicMs());
    const { redriveId } = await world.until(world.dead.redriver.start({ perSecond: 10 }));
    await world.clock.advance(1_050);
    assert.ok(atMs.length >= 10 && atMs.length <= 12, `${atMs.length}`);
    await assert.rejects(world.until(world.dead.redriver.start({})), { code: 'redrive.running' });
    const state = await world.until(world.dead.redriver.stop(redriveId));
    assert.deepEqual([state.state, state.handled], ['stopped', atMs.length]);
    await world.clock.advance(10_000);
    assert.equal((await world.ids()).length, 30 - atMs.length);
    assert.deepEqual(await world.until(world.dead.redriver.stop(redriveId)), state);
    await assert.rejects(world.until(world.dead.redriver.stop('never')), { code: 'redrive.notFound' });
  });

  it('stops by itself when nothing succeeds, and does not take letters that have come since', async () => {
    const world = await new LettersWorld().start();
    for (let number = 1; number <= 150; number++)
      await world.keep(world.letter(number, { thingName: `t${number % 20}` }));
    let next = 1_000;
    world.run = async () => {
      await delay(world.clock, 1);
      await world.dead.keep(world.letter(next++)); // As a handler whose own messages fail.
      throw new Error('no');
    };
    const state = await world.redrive({ perSecond: 10_000 });
    assert.equal(state.state, 'stopped');
    assert.match(String(state.reason), /100 letters failed/);
    assert.ok(state.failed >= 100 && state.failed < 110, `${state.failed}`);
    world.run = async (_consumer, event) => assert.ok(recordOf(event).sequenceNumber < 2_000n);
    assert.equal((await world.redrive({ perSecond: 10_000 })).failed, 0);
  });

  it('does not go round in circles: after some redrives a letter has to be edited first', async () => {
    const world = await new LettersWorld().start();
    await world.keep(world.letter(1));
    let runs = 0;
    world.run = async () => {
      runs++;
      throw new Error('no');
    };
    for (let round = 0; round < redriveLimits.redrivesKept; round++) await world.redrive();
    assert.equal(runs, redriveLimits.redrivesMax);
    const state = await world.redrive();
    assert.deepEqual([state.refused, state.failures[0].code], [1, 'redrive.tooOften']);
    await world.redrive({ redrivesMax: 100 });
    assert.equal(runs, redriveLimits.redrivesMax + 1);
    await world.until(world.dead.letters.edit((await world.ids())[0], Buffer.from('{}')));
    await world.redrive();
    assert.equal(runs, redriveLimits.redrivesMax + 2);
    assert.equal((await world.until(world.dead.redrives.list())).length, redriveLimits.redrivesKept);
  });

  it('begins a chain anew that the loop guard has stopped', async () => {
    const world = await new LettersWorld().start();
    const cause = { depth: causeLimits.depthMax, originId: 'o', path: Array.from({ length: 16 }, () => 'f') };
    const topic = 'dt/app/lights/lamp/state';
    await world.keep(world.letter(1, { cause, topic }));
    world.run = async (_consumer, event) => assert.equal(readEnvelope(recordOf(event).data)?.cause?.depth, 0);
    assert.equal((await world.redrive()).handled, 1);
  });

  it('goes on after a crash, handles everything, and sets aside a letter that ends the app each time', async () => {
    const world = await new LettersWorld().start();
    const poison = 17n;
    for (let number = 1; number <= 40; number++)
      await world.keep(world.letter(number, { thingName: `t${number % 3}` }));
    const runs = new Map<bigint, number>();
    let crash: (() => void) | undefined;
    world.run = async (_consumer, event) => {
      const { sequenceNumber } = recordOf(event);
      runs.set(sequenceNumber, (runs.get(sequenceNumber) ?? 0) + 1);
      if (sequenceNumber !== poison) return;
      crash?.();
      await new Promise(() => {}); // Until the end of the process.
    };
    const { redriveId } = await world.until(world.dead.redriver.start({ perSecond: 10_000 }));
    for (let tries = 1; tries <= redriveLimits.triesAloneMax + 1; tries++) {
      await new Promise<void>(resolve => {
        crash = resolve;
        void world.clock.advance(2_000);
      });
      await world.crash();
    }
    const state = await world.over(redriveId);
    assert.deepEqual([state.state, state.expected, state.handled, state.failed], ['done', 40, 39, 1]);
    assert.equal(state.failures[0].code, 'redrive.interrupted');
    assert.equal(runs.get(poison), redriveLimits.triesAloneMax + 1);
    assert.deepEqual(await world.numbers(), [Number(poison)]);
    assert.deepEqual(world.failures, []);
  });

  it('keeps its letters from being edited, deleted or redriven by others meanwhile', async () => {
    const world = await new LettersWorld().start();
    await world.keep(world.letter(1));
    const [id] = await world.ids();
    let done = () => {};
    world.run = () => new Promise<void>(resolve => (done = resolve));
    const { redriveId } = await world.until(world.dead.redriver.start({}));
    await world.clock.advance(10);
    await assert.rejects(world.until(world.dead.letters.edit(id, Buffer.from('{}'))), { code: 'letter.inHand' });
    await assert.rejects(world.until(world.dead.delete(id)), { code: 'letter.inHand' });
    done();
    assert.equal((await world.over(redriveId)).handled, 1);
  });

  it('waits for a full disk, which costs a letter nothing', async () => {
    const world = await new LettersWorld().start();
    await world.keep(world.letter(1));
    let failures = 5;
    world.run = async () => {
      if (failures-- > 0) throw Object.assign(new Error('no room'), { code: 'store.full' });
    };
    const state = await world.redrive();
    assert.deepEqual([state.handled, state.failed], [1, 0]);
  });

  it('counts every outcome once, wherever the power is cut', async () => {
    // One more, each while the same letter is in hand, and that letter is taken for the reason: it fails, as promised.
    const anyCuts = fc.integer({ min: 1, max: redriveLimits.triesAloneMax });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 60 }), anyCuts, async (cutAfter, cuts) => {
        const world = await new LettersWorld().start();
        for (let number = 1; number <= 12; number++)
          await world.keep(world.letter(number, { thingName: `t${number % 3}` }));
        const handled = new Set<bigint>();
        world.run = async (_consumer, event) => {
          const { sequenceNumber } = recordOf(event);
          if (sequenceNumber % 4n === 0n) throw new Error('no');
          handled.add(sequenceNumber);
        };
        const { redriveId } = await world.until(world.dead.redriver.start({ perSecond: 1_000 }));
        for (let cut = 0; cut < cuts; cut++) {
          await world.clock.advance(cutAfter);
          await world.crash();
        }
        const state = await world.over(redriveId);
        assert.deepEqual([state.handled, state.failed, state.refused], [9, 3, 0]);
        assert.equal(handled.size, 9);
        assert.deepEqual(await world.numbers(), [12, 8, 4]);
        assert.equal((await world.until(world.dead.letters.countOf('lights'))).letters, 3);
      }),
      { numRuns: 15 },
    );
  });
});

describe('a result of a command', () => {
  it('is redriven with the command it ended', async () => {
    const world = await new LettersWorld().start();
    const result = {
      thingName: 'lamp',
      sessionId: 's1',
      request: {},
      sentAtMs: 7,
      outcome: 'timedOut',
      response: undefined,
      attempt: 5,
    } as const;
    await world.keep(resultLetter('blink', result, { consumer: '$commands', error: new Error('no'), attempts: 5 }));
    const given: unknown[] = [];
    world.run = async (_consumer, event) => void given.push(event);
    await world.redrive();
    const { response: _, ...whole } = result;
    assert.deepEqual(given, [{ kind: 'commandResult', command: 'blink', result: whole, cause: undefined }]);
  });
});
