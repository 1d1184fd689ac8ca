import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { it } from 'node:test';
import { BenchError } from './errors.ts';
import { type Benchmark, type CommandOptions, chooseLoads, peerNames, readSettings } from './settings.ts';

const benchmark: Benchmark = {
  name: 'sample',
  summary: '',
  loads: [{ name: 'one' }, { name: 'two' }],
  counts: [{ name: 'inFlight', flag: '--in-flight <count>', what: '', usual: 50, quick: 5, min: 1, max: 100 }],
  run: () => assert.fail('is not run'),
};

const usual: CommandOptions = {
  rounds: '3',
  seconds: '5',
  payload: '100',
  dataRoot: tmpdir(),
  peers: ['all'],
  subject: 'mimamori',
};

const read = (options: Partial<CommandOptions>) => readSettings({ ...usual, ...options } as CommandOptions, benchmark); // the spread has them all

it('takes the usual counts, smaller ones with --quick, and what was said before both', () => {
  assert.equal(read({}).counts.inFlight, 50);
  assert.equal(read({ quick: true }).counts.inFlight, 5);
  assert.equal(read({ quick: true, inFlight: '70' }).counts.inFlight, 70);
});

it('takes all peers, none, or those that are named', () => {
  assert.deepEqual(read({}).peers, peerNames);
  assert.deepEqual(read({ peers: ['none'] }).peers, []);
  assert.deepEqual(read({ peers: ['nats', 'aedes'] }).peers, ['nats', 'aedes']);
});

it('takes all loads, or those that are named', () => {
  assert.deepEqual(chooseLoads(benchmark.loads, read({})), benchmark.loads);
  assert.deepEqual(chooseLoads(benchmark.loads, read({ only: ['two'] })), [{ name: 'two' }]);
});

it('refuses what it does not know or cannot do, and says what it could', () => {
  const refused = (options: Partial<CommandOptions>, fix: RegExp) =>
    assert.throws(
      () => read(options),
      error => error instanceof BenchError && fix.test(error.fix),
    );
  refused({ peers: ['emqx'] }, /mosquitto, nats, aedes/);
  refused({ only: ['three'] }, /one, two/);
  refused({ inFlight: '0' }, /from 1 to 100/);
  refused({ inFlight: 'many' }, /from 1 to 100/);
  refused({ payload: '10' }, /from \d+ to 65536/);
  refused({ dataRoot: '/nowhere/at/all' }, /existing folder/);
});
