import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { testScale } from '../../test/support.ts';
import {
  type App,
  appTable,
  type ContextOf,
  defineApp,
  defineModel,
  destinationRecord,
  type FunctionsChoices,
  handlerOf,
  telemetryTopic,
} from '../app/index.ts';
import type { Alarm } from '../kernel/alarms.ts';
import { delay } from '../kernel/clock.ts';
import { codeOf } from '../kernel/errors.ts';
import { seededRandom } from '../kernel/random.ts';
import { OneThreadBackend, TestWorld } from './one-thread.ts';

const model = defineModel('calls', {
  telemetry: { orders: { order: z.object({ id: z.string() }) } },
  commands: {},
  entities: {},
  functions: {
    double: { input: z.object({ value: z.number() }), output: z.number() },
    job: { input: z.object({ id: z.string() }) },
    told: { input: destinationRecord },
  },
});
type Context = ContextOf<typeof model>;

const double = model.onInvoke('double', async ({ value }) => value * 2);
const told = model.onInvoke('told', async () => {});

/** What jobs do, and what they did. */
class Jobs {
  readonly done: { readonly id: string; readonly attempt: number; readonly atMs: number; readonly depth: number }[] =
    [];
  readonly records: z.output<typeof destinationRecord>[] = [];
  act: (id: string, context: Context) => Promise<unknown> = async () => {};

  readonly function = model.onInvoke(
    'job',
    async ({ id }, context) => {
      const { attempt, depth } = context.invocation;
      this.done.push({ id, attempt, depth, atMs: context.clock.nowMs() });
      await this.act(id, context);
    },
    { onFailure: 'told', onSuccess: 'told' },
  );

  readonly told = model.onInvoke('told', async record => void this.records.push(record));

  get functions() {
    return { double, job: this.function, told: this.told };
  }

  attemptsOf(id: string): number[] {
    return this.done.filter(each => each.id === id).map(({ attempt }) => attempt);
  }
}

interface WorldOptions {
  readonly world?: TestWorld;
  readonly choices?: FunctionsChoices;
  readonly routes?: App['routes'];
  readonly alarms?: Alarm[];
}

async function start(functions: App['functions'], options: WorldOptions = {}) {
  const { world = new TestWorld(), choices, routes = [], alarms = [] } = options;
  const app = defineApp(model, { functions: { double, job: new Jobs().function, told, ...functions }, routes });
  const backend = await OneThreadBackend.start(app, world, {
    functions: choices,
    alarms: { raise: alarm => void alarms.push(alarm), clear: () => {} },
  });
  // The context of the model above, whatever `Runtime` calls it.
  const context = backend.runtime.context as unknown as Omit<Context, 'invocation' | 'once'>;
  const { clock } = world;
  const deadOf = async (consumer: string) =>
    (await clock.until(backend.runtime.deadLetters.letters.page({ consumer }))).letters;
  const openCalls = async () => {
    const ExpressionAttributeValues = { ':later': '$Later' };
    const KeyConditionExpression = 'SK = :later';
    const query = {
      TableName: appTable.tableName,
      IndexName: 'GSI1',
      KeyConditionExpression,
      ExpressionAttributeValues,
    };
    await backend.indexesCatchUp();
    return (await clock.until(backend.table.query(query))).Items ?? [];
  };
  return { world, clock, backend, context, deadOf, openCalls };
}

const refusalOf = (work: Promise<unknown>) => work.then(() => 'done', codeOf);

describe('a function that is called by its name', () => {
  it('answers what its schema says, to what its schema says', async () => {
    const { clock, context } = await start({});
    assert.equal(await clock.until(context.functions.double.invoke({ value: 21 })), 42);
    // @ts-expect-error: an input is a number.
    const misuse = context.functions.double.invoke({ value: '1' });
    assert.equal(await refusalOf(clock.until(misuse)), 'function.inputNotValid');
    const wrong = model.onInvoke('double', async () => 'two' as unknown as number);
    const other = await start({ double: wrong });
    const answer = other.clock.until(other.context.functions.double.invoke({ value: 1 }));
    assert.equal(await refusalOf(answer), 'function.outputNotValid');
  });

  it('is stopped when it calls itself without end, by its own name or later (covers S0-39)', async () => {
    const jobs = new Jobs();
    jobs.act = (id, { functions }) => functions.job.invoke({ id });
    const alarms: Alarm[] = [];
    const { clock, context } = await start(jobs.functions, { alarms });
    assert.equal(await refusalOf(clock.until(context.functions.job.invoke({ id: 'now' }))), 'function.loop');
    assert.deepEqual([jobs.done.length, jobs.done.at(-1)?.depth], [16, 15]);

    jobs.act = (id, { functions }) => functions.job.invokeLater({ id });
    const later = await start(jobs.functions, { alarms });
    await later.clock.until(later.context.functions.job.invokeLater({ id: 'later' }));
    await later.clock.advance(60_000);
    assert.equal(jobs.attemptsOf('later').length, 16);
    assert.deepEqual(
      (await later.deadOf('job')).map(({ error }) => error.code),
      ['function.loop'],
    );
    assert.equal(alarms.filter(({ name }) => name === 'functionLoop').length >= 2, true);
  });

  it('is refused with 429 when there is no room, and the caller told when to ask again', async () => {
    const work = model.route('POST /v1/work', { summary: 'Works' }, async (_request, { functions }) => {
      await functions.job.invoke({ id: 'one' });
    });
    const jobs = new Jobs();
    jobs.act = (_id, { clock }) => delay(clock, 1_000);
    const job = { ...jobs.function, options: { reservedConcurrency: 1 } };
    const { backend } = await start({ job }, { routes: [work] });
    const answers = await Promise.all([
      backend.request('alice', 'POST', '/v1/work'),
      backend.request('alice', 'POST', '/v1/work'),
    ]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 429]);
    assert.equal(answers.find(({ status }) => status === 429)?.body.code, 'function.throttled');
  });
});

describe('a function that is called later', () => {
  it('runs once it is stored, or when its delay is over, with what led to it', async () => {
    const jobs = new Jobs();
    const { clock, context, openCalls } = await start(jobs.functions);
    const startMs = clock.nowMs();
    await clock.until(context.functions.job.invokeLater({ id: 'now' }));
    await clock.until(context.functions.job.invokeLater({ id: 'soon' }, { delayMs: 90_000 }));
    await clock.advance(89_000);
    assert.deepEqual(
      jobs.done.map(({ id }) => id),
      ['now'],
    );
    await clock.advance(1_000);
    assert.deepEqual(
      jobs.done.map(({ id, atMs }) => [id, atMs - startMs]),
      [
        ['now', 2], // Stored, and counted.
        ['soon', 90_002],
      ],
    );
    await clock.advance(60_000);
    assert.deepEqual(
      jobs.records.map(({ requestContext }) => requestContext.condition),
      ['Success', 'Success'],
    );
    assert.deepEqual(await openCalls(), []);
  });

  it('is stored before the caller goes on: a power cut loses none (covers S2-26)', async () => {
    const world = new TestWorld();
    const before = new Jobs();
    const first = await start(before.functions, { world });
    await first.clock.until(first.context.functions.job.invokeLater({ id: 'kept' }, { delayMs: 1_000 }));
    first.backend.powerCut();
    const after = new Jobs();
    const { clock } = await start(after.functions, { world });
    await clock.advance(10_000);
    assert.deepEqual([before.done, after.attemptsOf('kept')], [[], [1]]);
  });

  it('is tried three times with growing pauses, then dead-lettered and told of (covers S2-27)', async () => {
    const jobs = new Jobs();
    jobs.act = async () => {
      throw new Error('no luck');
    };
    const { clock, context, deadOf, openCalls } = await start(jobs.functions);
    await clock.until(context.functions.job.invokeLater({ id: 'bad' }));
    await clock.advance(60_000);
    assert.deepEqual(jobs.attemptsOf('bad'), [1, 2, 3]);
    const [letter, ...others] = await deadOf('job');
    assert.deepEqual(others, []);
    assert.deepEqual(
      [letter.kind, letter.attempts, letter.error.message, letter.error.condition],
      ['invocation', 3, 'no luck', 'RetriesExhausted'],
    );
    const [record] = jobs.records;
    assert.deepEqual([record.requestPayload, record.requestContext.approximateInvokeCount], [{ id: 'bad' }, 3]);
    assert.deepEqual(record.responsePayload, { errorType: 'Error', errorMessage: 'no luck', code: 'internal' });
    assert.deepEqual(await openCalls(), []);
  });

  it('is redriven from the dead letters', async () => {
    const jobs = new Jobs();
    jobs.act = async () => {
      throw new Error('no luck');
    };
    const { clock, backend, context, deadOf } = await start(jobs.functions);
    await clock.until(context.functions.job.invokeLater({ id: 'bad' }));
    await clock.advance(60_000);
    jobs.act = async () => {};
    await clock.until(
      backend.runtime.redrive('job', {
        kind: 'invocation',
        functionName: 'job',
        eventId: 'again',
        event: { id: 'bad' },
      }),
    );
    assert.equal(jobs.attemptsOf('bad').length, 4);
    assert.equal((await deadOf('job')).length, 1);
  });

  it('is not tried again when it is too old, or when its input does not fit any more', async () => {
    const world = new TestWorld();
    const jobs = new Jobs();
    const first = await start(jobs.functions, { world });
    await first.clock.until(first.context.functions.job.invokeLater({ id: 'old' }, { delayMs: 1_000 }));
    await first.backend.stop();
    await world.clock.suspend(7 * 3_600_000);
    const { clock, deadOf } = await start(jobs.functions, { world });
    await clock.advance(10_000);
    assert.deepEqual(
      [jobs.done.length, (await deadOf('job')).map(({ error }) => error.code)],
      [0, ['function.eventTooOld']],
    );
  });

  it('is called once with one key, for a day', async () => {
    const jobs = new Jobs();
    const { clock, context } = await start(jobs.functions);
    const call = () => clock.until(context.functions.job.invokeLater({ id: 'keyed' }, { idempotencyKey: 'order-1' }));
    await Promise.all([call(), call()]);
    await clock.advance(60_000);
    await call();
    await clock.suspend(23 * 3_600_000);
    await call();
    assert.equal(jobs.done.length, 1);
    await clock.suspend(3_600_000);
    await call();
    await clock.advance(1_000);
    assert.equal(jobs.done.length, 2);
  });

  it('refuses what cannot be stored or never comes', async () => {
    const { clock, context } = await start({});
    const refusals = (input: { id: string }, options?: { delayMs: number }) =>
      refusalOf(clock.until(context.functions.job.invokeLater(input, options)));
    assert.equal(await refusals({ id: 'x'.repeat(300_000) }), 'function.inputTooLarge');
    assert.equal(await refusals({ id: 1n as unknown as string }), 'function.inputNotValid');
    for (const delayMs of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.equal(await refusals({ id: 'late' }, { delayMs }), 'function.delayNotValid');
  });

  it('waits for room and budget as long as it takes, at the cost of no attempt', async () => {
    const jobs = new Jobs();
    jobs.act = (_id, { clock }) => delay(clock, 1_000);
    const options = { reservedConcurrency: 2, budget: { invocationsPerMinuteMax: 20 } };
    const { clock, context, deadOf } = await start({ ...jobs.functions, job: { ...jobs.function, options } });
    for (let id = 0; id < 30; id++) await clock.until(context.functions.job.invokeLater({ id: String(id) }));
    await clock.advance(59_000);
    assert.equal(jobs.done.length, 20);
    await clock.advance(60_000);
    assert.deepEqual([jobs.done.length, jobs.done.every(({ attempt }) => attempt === 1)], [30, true]);
    assert.deepEqual(await deadOf('job'), []);
  });

  it('is done at least once whenever the power is cut, and its end is told', async () => {
    for (let seed = 1; seed <= testScale(5, 200); seed++) await cutAtRandom(seed);
  });

  it('is charged with ending the app only if it does: what was at work runs one at a time after a restart', async () => {
    const world = new TestWorld();
    const hang = new Jobs();
    hang.act = (_id, { clock }) => delay(clock, 2_000);
    for (let life = 0; life < 4; life++) {
      const { clock, context, backend } = await start(hang.functions, { world });
      if (life === 0)
        for (let id = 0; id < 10; id++) await clock.until(context.functions.job.invokeLater({ id: String(id) }));
      await clock.advance(500); // Each life ends while the first of them is at work.
      backend.powerCut();
    }
    const { clock, deadOf } = await start(hang.functions, { world });
    await clock.advance(60_000);
    assert.deepEqual(
      (await deadOf('job')).map(({ error }) => error.code),
      ['function.interrupted'],
    );
    for (let id = 1; id < 10; id++)
      assert.deepEqual(hang.attemptsOf(String(id)), id === 1 ? [1, 2, 3] : [1, 2], `job ${id}`);
  });
});

async function cutAtRandom(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const world = new TestWorld(seed);
  const jobs = new Jobs();
  const accepted: string[] = [];
  jobs.act = async (_id, { clock }) => {
    await delay(clock, random.integer(50));
    if (random.integer(4) === 0) throw new Error('now and then');
  };
  for (let life = 0; life < 4; life++) {
    const { clock, context, backend } = await start(jobs.functions, { world });
    for (let count = 0; count < 8; count++) {
      const id = `${life}-${count}`;
      const later = context.functions.job.invokeLater({ id }, { delayMs: random.integer(3) * 20 });
      void later.then(() => accepted.push(id)).catch(() => {});
    }
    for (let steps = random.integer(40); steps > 0; steps--) await clock.advance(random.integer(5));
    backend.powerCut();
  }
  const { clock, deadOf, openCalls } = await start(jobs.functions, { world });
  await clock.advance(600_000);
  const dead = await deadOf('job');
  assert.deepEqual(await openCalls(), [], `seed ${seed}`);
  assert(accepted.length > 0);
  for (const id of accepted) assert(jobs.attemptsOf(id).length > 0, `${id} was lost, seed ${seed}`);
  const told = new Set(jobs.records.map(({ requestPayload }) => (requestPayload as { id: string }).id)); // A job's input.
  for (const id of accepted) assert(told.has(id), `the end of ${id} was not told, seed ${seed}`);
  assert(dead.length <= told.size);
}

describe('a schedule', () => {
  const times: number[] = [];
  const tick = (act: (context: Context) => Promise<unknown> = async () => {}) =>
    model.onSchedule({ everyMs: 60_000 }, async ({ scheduledAtMs }, context) => {
      times.push(scheduledAtMs);
      await act(context);
    });
  const minutes = (startMs: number) => times.splice(0).map(time => (time - startMs) / 60_000);

  it('calls its function once per time, restarts included, and for the last of the times it has missed', async () => {
    const world = new TestWorld();
    const startMs = world.clock.nowMs();
    const first = await start({ tick: tick() }, { world });
    await first.clock.advance(150_000);
    assert.deepEqual(minutes(startMs), [1, 2]);
    first.backend.powerCut();
    const second = await start({ tick: tick() }, { world });
    await second.clock.advance(30_000);
    assert.deepEqual(minutes(startMs), [3]);
    await second.backend.stop();
    await world.clock.advance(10 * 60_000);
    const third = await start({ tick: tick() }, { world });
    await third.clock.advance(60_000);
    assert.deepEqual(minutes(startMs), [13, 14]);
    assert.equal(third.backend.runtime.counters.get('schedules.passedOver'), 1);
  });

  it('never runs twice at once: times that pass meanwhile wait, and the last one counts', async () => {
    let running = 0;
    const world = new TestWorld();
    const startMs = world.clock.nowMs();
    const slow = tick(async ({ clock }) => {
      assert.equal(++running, 1);
      await delay(clock, 150_000);
      running--;
    });
    const { clock } = await start({ tick: { ...slow, options: { timeoutMs: 600_000 } } }, { world });
    await clock.advance(10 * 60_000);
    assert.deepEqual(minutes(startMs), [1, 3, 6, 8]);
  });

  it('tries again what fails, and sets it aside in the end', async () => {
    const startMs = new TestWorld().clock.nowMs();
    const bad = tick(async () => {
      throw new Error('no luck');
    });
    const { clock, deadOf } = await start({ tick: bad });
    await clock.advance(100_000);
    assert.deepEqual(minutes(startMs), [1, 1, 1]);
    assert.deepEqual(
      (await deadOf('tick')).map(({ kind, attempts }) => [kind, attempts]),
      [['tick', 3]],
    );
  });

  it('goes on from now when the clock was set back by years', async () => {
    const { world, clock } = await start({ tick: tick() });
    await clock.advance(60_000);
    world.clock.jumpWallClock(-10 * 365 * 24 * 3_600_000);
    await clock.advance(180_000);
    assert.equal(times.splice(0).length, 3); // The one that it took to be noticed is left out.
  });

  it('is called by the clocks of its time zone, also when they are set forward and back (hostile C03)', async () => {
    const daily = model.onSchedule({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' }, async ({ scheduledAtMs }) => {
      times.push(scheduledAtMs);
    });
    const world = new TestWorld();
    world.clock.jumpWallClock(Date.parse('2026-03-29T00:55:00Z') - world.clock.nowMs());
    const { clock } = await start({ daily }, { world });
    await clock.advance(10 * 60_000);
    assert.deepEqual(times.splice(0), [Date.parse('2026-03-29T01:00:00Z')]); // There is no half past two.
  });
});

describe('an effect that is done once', () => {
  it('is not repeated when its event is told again, and answers the same (covers S2-28)', async () => {
    const effects: string[] = [];
    const answers: unknown[] = [];
    let failures = 2;
    const handler = model.onTelemetry('orders', async ({ payload: { id } }, { once }) => {
      const charge = async () => {
        effects.push(id);
        return { receipt: effects.length };
      };
      answers.push(await once('charge', charge));
      if (failures-- > 0) throw new Error('after the effect');
    });
    const { clock, context } = await start({ handler });
    const payload = Buffer.from(JSON.stringify({ id: 'order-1' }));
    await clock.until(
      context.iot.publish({ topic: telemetryTopic('calls', 'orders', 'till', 'order'), payload, qos: 1 }),
    );
    await clock.advance(5_000);
    assert.deepEqual([effects, answers], [['order-1'], [{ receipt: 1 }, { receipt: 1 }, { receipt: 1 }]]);
  });

  it('is waited for by who comes meanwhile, and done again when it fails, when it expires, or when the app ended in it', async () => {
    const world = new TestWorld();
    const effects: string[] = [];
    const jobs = new Jobs();
    let act = async () => {};
    jobs.act = (id, { once, clock }) =>
      once(
        'effect',
        async () => {
          effects.push(id);
          await delay(clock, 1_000);
          await act();
        },
        { key: 'shared', ttlMs: 3_600_000 },
      );
    const first = await start(jobs.functions, { world });
    const { clock } = first;
    const invoke = (id: string) => refusalOf(first.context.functions.job.invoke({ id }));
    act = async () => {
      throw new Error('not this time');
    };
    assert.equal(await clock.until(invoke('fails')), 'internal');
    act = async () => {};
    assert.deepEqual(await clock.until(Promise.all([invoke('one'), invoke('two')])), ['done', 'done']);
    assert.equal(await clock.until(invoke('three')), 'done');
    assert.deepEqual(effects, ['fails', 'one']);
    await clock.advance(3_600_000);
    void invoke('expired');
    await clock.advance(500);
    first.backend.powerCut();
    const second = await start(jobs.functions, { world });
    assert.equal(await refusalOf(second.clock.until(second.context.functions.job.invoke({ id: 'next life' }))), 'done');
    assert.deepEqual(effects, ['fails', 'one', 'expired', 'next life']);
  });

  it('refuses a key that says nothing, and an answer that cannot be kept, without doing it again', async () => {
    const effects: string[] = [];
    const jobs = new Jobs();
    jobs.act = (id, { once }) =>
      once(
        'effect',
        async () => {
          effects.push(id);
          return id === 'large' ? 'x'.repeat(300_000) : 1n;
        },
        id === 'unkeyed' ? {} : { key: id === 'empty' ? '' : id, ttlMs: id === 'timeless' ? Number.NaN : undefined },
      );
    const { clock, context } = await start(jobs.functions);
    const invoke = (id: string) => refusalOf(clock.until(context.functions.job.invoke({ id })));
    assert.equal(await invoke('unkeyed'), 'function.keyMissing');
    assert.equal(await invoke('empty'), 'function.keyNotValid');
    assert.equal(await invoke('timeless'), 'function.keyNotValid');
    for (const id of ['large', 'large', 'bigint', 'bigint']) assert.equal(await invoke(id), 'function.resultNotValid');
    assert.deepEqual(effects, ['large', 'bigint']);
  });
});

describe('the handler of a function', () => {
  it('can come from another instance of the app for each invocation (covers S1-18)', async () => {
    const counting = () => {
      let hidden = 0; // As at the top of a module.
      return { double: model.onInvoke('double', async () => ++hidden) };
    };
    const values = async (choices?: FunctionsChoices) => {
      const { clock, context } = await start(counting(), { choices });
      const next = () => clock.until(context.functions.double.invoke({ value: 0 }));
      return [await next(), await next(), await next()];
    };
    assert.deepEqual(await values(), [1, 2, 3]);
    assert.deepEqual(await values({ resolveHandler: async () => handlerOf(counting().double) }), [1, 1, 1]);
  });
});

describe('a function of a stream', () => {
  const publish = ({ iot }: Pick<Context, 'iot'>, id: string) =>
    iot.publish({
      topic: telemetryTopic('calls', 'orders', 'till', 'order'),
      payload: Buffer.from(JSON.stringify({ id })),
      qos: 1,
    });

  it('waits for room and budget, loses nothing, and stops while it waits (covers S0-42)', async () => {
    const world = new TestWorld();
    const seen: string[] = [];
    let running = 0;
    const work = async ({ payload: { id } }: { payload: { id: string } }, { clock }: Context) => {
      assert(++running <= 2);
      await delay(clock, 100);
      running--;
      seen.push(id);
    };
    const options = { reservedConcurrency: 2, budget: { invocationsPerMinuteMax: 15, resume: 'manual' } } as const;
    const first = await start(
      { busy: model.onTelemetryBatch('orders', async () => {}), one: model.onTelemetry('orders', work, options) },
      { world },
    );
    for (let id = 0; id < 20; id++) await first.clock.until(publish(first.context, String(id)));
    await first.clock.advance(600_000);
    assert.equal(seen.length, 15);
    await first.backend.stop();
    const second = await start({ one: model.onTelemetry('orders', work, { reservedConcurrency: 2 }) }, { world });
    second.backend.runtime.functions.reset('one');
    await second.clock.advance(10_000);
    assert.equal(new Set(seen).size, 20);
    assert.deepEqual(await second.deadOf('one'), []);
  });
});

describe('a function that is stopped until it is reset', () => {
  it('stays so when the app is restarted', async () => {
    const world = new TestWorld();
    const options = { budget: { invocationsPerMinuteMax: 1, resume: 'manual' } } as const;
    const functions = { double: { ...double, options } };
    const first = await start(functions, { world });
    await first.clock.until(first.context.functions.double.invoke({ value: 1 }));
    await first.clock.advance(1);
    first.backend.powerCut();
    const { clock, context, backend } = await start(functions, { world });
    const invoke = () => refusalOf(clock.until(context.functions.double.invoke({ value: 1 })));
    assert.equal(await invoke(), 'function.budgetExceeded');
    backend.runtime.functions.reset('double');
    assert.equal(await invoke(), 'done');
  });
});
