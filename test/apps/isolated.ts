import { parentPort } from 'node:worker_threads';
import { z } from 'zod';
import { type ContextOf, defineApp, defineEntity, defineModel } from '../../src/app/index.ts';

/** An app whose isolated functions do what their input says: work, loop, leak, exit, forget a rejection. */
const behaviours = [
  'well',
  'loop',
  'leak',
  'leakBuffers',
  'exit',
  'forget',
  'throwLater',
  'heed',
  'compute',
  'post',
] as const;
type Behaviour = (typeof behaviours)[number];

export const model = defineModel('isolated', {
  telemetry: { orders: { order: z.object({ id: z.string() }) } },
  commands: {},
  entities: {
    Note: defineEntity(z.object({ noteId: z.string(), text: z.string() }), {
      id: 'noteId',
      patterns: { byText: { by: ['text'] } },
    }),
  },
  functions: {
    behave: { input: z.object({ how: z.enum(behaviours) }), output: z.string() },
    hurry: { input: z.object({ how: z.enum(behaviours) }), output: z.string() },
    hold: { input: z.object({ megabytes: z.number() }) },
    work: { input: z.object({ what: z.string() }), output: z.unknown() },
    outer: { input: z.object({ value: z.number() }), output: z.number() },
  },
});
type Context = ContextOf<typeof model>;

/** Kept by the worker: another one begins anew. */
let invocations = 0;

async function obey({ how }: { how: Behaviour }, { invocation: { signal } }: Context): Promise<string> {
  invocations++;
  if (how === 'loop') for (;;);
  if (how === 'leak') for (const kept: unknown[] = []; ; ) kept.push(new Array(100_000).fill(kept.length));
  if (how === 'leakBuffers') for (const kept: Buffer[] = []; ; ) kept.push(Buffer.alloc(1_000_000, kept.length));
  if (how === 'exit') process.exit(3);
  if (how === 'forget') {
    void Promise.reject(new Error('forgotten'));
    await new Promise(() => {});
  }
  if (how === 'throwLater') {
    setTimeout(() => {
      throw new Error('from a timer');
    });
    await new Promise(() => {});
  }
  if (how === 'heed') await new Promise(resolve => signal.addEventListener('abort', resolve));
  if (how === 'post') {
    for (const nonsense of [undefined, 3, { type: 'nonsense' }, { type: 'done' }]) parentPort?.postMessage(nonsense);
    await new Promise(() => {});
  }
  if (how === 'compute')
    for (const end = process.threadCpuUsage().user + 100_000; process.threadCpuUsage().user < end; );
  return `invocation ${invocations}`;
}

const behave = model.onInvoke('behave', obey, { isolated: true, timeoutMs: 30_000 });
const hurry = model.onInvoke('hurry', obey, { isolated: true, timeoutMs: 200 });

/** Needs memory, and hardly a processor. */
const hold = model.onInvoke(
  'hold',
  async ({ megabytes }) => {
    const held = Buffer.alloc(megabytes * 2 ** 20, 1);
    await new Promise(resolve => setTimeout(resolve, 500));
    if (held[0] !== 1) throw new Error('It was not held.');
  },
  { isolated: true, memoryMegabytes: 256 },
);

const works: Readonly<Record<string, (context: Context) => Promise<unknown>>> = {
  async entities({ entities, newId }) {
    const noteId = newId();
    await entities.Note.create({ noteId, text: 'hello' });
    const again = await entities.Note.create({ noteId, text: 'again' }).catch(error => error);
    const page = await entities.Note.list.byText({ text: 'hello' });
    return { code: again.code, texts: page.items.map(({ text }) => text) };
  },
  async values({ table }) {
    const item = { PK: 'Value', SK: 'v', bytes: Buffer.from('abc'), names: new Set(['a', 'b']), large: 2n ** 100n };
    await table.put({ TableName: 'app', Item: item });
    const { Item } = await table.get({ TableName: 'app', Key: { PK: 'Value', SK: 'v' } });
    class Custom {
      readonly inside = 1;
    }
    const custom = await table.put({ TableName: 'app', Item: { ...item, custom: new Custom() } }).catch(error => error);
    const condition = { TableName: 'app', Item: item, ConditionExpression: 'attribute_not_exists(PK)' };
    const refusal = await table.put(condition).catch(error => error);
    return { bytes: Item?.bytes, names: Item?.names, large: Item?.large, custom: custom.name, refusal: refusal.name };
  },
  async once({ once }) {
    const effects: number[] = [];
    const effect = async () => effects.push(1);
    return [await once('effect', effect, { key: 'k' }), await once('effect', effect, { key: 'k' }), effects.length];
  },
  async invocation({ invocation: { functionName, attempt, depth, remainingMs }, announce, log }) {
    announce('somebody', { type: 'told', functionName });
    log.info({ depth }, 'An isolated function says something.');
    return { functionName, attempt, depth, hasTime: remainingMs() > 0 };
  },
  async calls({ functions, inParallel }) {
    const doubled = await inParallel([1, 2, 3], value => functions.outer.invoke({ value }));
    return doubled.map(settled => settled.isDone && settled.result);
  },
  async again({ functions }) {
    await functions.work.invokeLater({ what: 'again' });
  },
  async unpostable() {
    return () => {};
  },
  async fails() {
    throw Object.assign(new TypeError('not like this', { cause: new Error('because') }), { bytes: Buffer.from('b') });
  },
};

const work = model.onInvoke('work', async ({ what }, context) => works[what](context), { isolated: true });
const outer = model.onInvoke('outer', async ({ value }) => value * 2);

export default defineApp(model, { functions: { behave, hurry, hold, work, outer }, routes: [] });
