import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BenchError } from './errors.ts';
import type { ServerKind } from './server-kind.ts';
import { type Contender, type Figure, type RatioDefinition, takeTurns, type Values } from './turns.ts';

const load = { name: 'load' };
const figures: readonly Figure[] = [
  { name: 'rate', head: 'rate', summary: 'spread', format: String },
  { name: 'ms', head: 'ms', summary: 'median', format: String },
];
const ratios: readonly RatioDefinition[] = [
  { name: 'rate', head: 'rate x', better: 'more', valueOf: values => values.rate },
  { name: 'ms', head: 'ms x', better: 'less', valueOf: values => values.ms },
];

/** Gives its rounds one after the other, and notes whose turn it was. */
function contender(
  name: string,
  role: ServerKind['role'],
  rounds: (Values | Error)[],
  order: string[] = [],
): Contender<{ name: string }> {
  const waiting = [...rounds];
  const turn = async () => {
    order.push(name);
    const next = waiting.shift();
    assert(next !== undefined, `${name} has no more rounds`);
    if (next instanceof Error) throw next;
    return next;
  };
  return { name, role, turn };
}

async function play(contenders: readonly Contender<{ name: string }>[], rounds: number) {
  const [summary] = await takeTurns({
    loads: [load],
    rounds,
    contenders,
    figures,
    ratios,
    progress: () => {},
    pauseMs: 0,
  });
  return summary;
}

it('lets the servers take turns, and tells the median, the least and the most of the rounds', async () => {
  const order: string[] = [];
  const ours = contender(
    'ours',
    'subject',
    [
      { rate: 10, ms: 1 },
      { rate: 30, ms: 9 },
      { rate: 20, ms: 5 },
    ],
    order,
  );
  const theirs = contender('theirs', 'peer', [{ rate: 1 }, { rate: 1 }, { rate: 1 }], order);
  const { servers } = await play([ours, theirs], 3);
  assert.deepEqual(order, ['ours', 'theirs', 'ours', 'theirs', 'ours', 'theirs']);
  assert.deepEqual(servers[0].figures, { rate: { median: 20, min: 10, max: 30 }, ms: 5 });
  assert.equal(servers[1].figures.ms, undefined);
});

it('tells the ratio to each server, above 1 when ours is better, and the least of those to peers as the best peer', async () => {
  const contenders = [
    contender('ours', 'subject', [{ rate: 100, ms: 2 }]),
    contender('slow', 'peer', [{ rate: 25, ms: 8 }]),
    contender('fast', 'peer', [{ rate: 80, ms: 1 }]),
    contender('bare', 'limit', [{ rate: 400, ms: 0.5 }]),
  ];
  const found = await play(contenders, 1);
  assert.deepEqual(found.ratios, {
    rate: { byServer: { slow: 4, fast: 1.25, bare: 0.25 }, bestPeer: 1.25 },
    ms: { byServer: { slow: 4, fast: 0.5, bare: 0.25 }, bestPeer: 0.5 },
  });
});

it('compares round by round', async () => {
  const ours = contender('ours', 'subject', [{ rate: 100 }, { rate: 10 }, { rate: 50 }]);
  const theirs = contender('theirs', 'peer', [{ rate: 50 }, { rate: 5 }, { rate: 100 }]);
  assert.equal((await play([ours, theirs], 3)).ratios.rate.bestPeer, 2);
});

it('has no ratio where one of the two has no value', async () => {
  const ours = contender('ours', 'subject', [{ rate: 100 }]);
  const lost = contender('lost', 'peer', [{ ms: 3 }]);
  assert.deepEqual((await play([ours, lost], 1)).ratios, {
    rate: { byServer: {}, bestPeer: undefined },
    ms: { byServer: {}, bestPeer: undefined },
  });
});

it('says why a peer failed and does not ask it again', async () => {
  const order: string[] = [];
  const ours = contender('ours', 'subject', [{ rate: 1 }, { rate: 1 }], order);
  const theirs = contender('theirs', 'peer', [new BenchError('It stopped.', 'Ask it why.')], order);
  const { servers } = await play([ours, theirs], 2);
  assert.deepEqual(order, ['ours', 'theirs', 'ours']);
  assert.equal(servers[1].failure, 'It stopped. Ask it why.');
});

it('ends when ours fails, or the benchmark itself', async () => {
  const failure = new BenchError('It stopped.', 'Ask it why.');
  await assert.rejects(play([contender('ours', 'subject', [failure])], 1), failure);
  const mistake = new TypeError('a mistake');
  await assert.rejects(play([contender('theirs', 'peer', [mistake])], 1), mistake);
});

it('leaves out who cannot take a load at all', async () => {
  const bare = { ...contender('bare', 'limit', []), canTake: () => false };
  const { servers } = await play([contender('ours', 'subject', [{ rate: 1 }]), bare], 1);
  assert.deepEqual(
    servers.map(({ server }) => server),
    ['ours'],
  );
});
