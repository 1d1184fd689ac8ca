import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { MqttClient } from '../src/device/index.ts';
import { systemAppendFiles } from '../src/kernel/append-files.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { systemSockets } from '../src/kernel/sockets.ts';
import { type Backend, startBackend } from '../src/local/index.ts';
import { type AlarmChange, type LogLine, type LogQuestion, LogReader } from '../src/ops/index.ts';
import { eventually, temporaryFolder } from './support.ts';

const dataDirectory = temporaryFolder();
const reader = new LogReader({
  files: systemAppendFiles,
  directory: path.join(dataDirectory, 'logs'),
  clock: systemClock,
});
const alarms: AlarmChange[] = [];
const posted: { text: string }[] = [];
let backend: Backend;
let device: MqttClient;

const hook = createServer(async (request, response) => {
  let body = '';
  for await (const bytes of request) body += bytes;
  posted.push(JSON.parse(body));
  response.end();
});

before(async () => {
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const address = hook.address();
  assert(typeof address === 'object' && address !== null);
  backend = await startBackend({
    appUrl: pathToFileURL('test/apps/talkative.ts'),
    dataDirectory,
    host: '127.0.0.1',
    httpPort: 0,
    mqttPort: 0,
    logLevel: 'silent',
    hangMs: 400,
    operations: { opensMetrics: true },
    alarmWebhook: `http://127.0.0.1:${address.port}/`,
    onAlarm: change => void alarms.push(change),
    onFailure: error => assert.fail(String(error)),
  });
  device = await MqttClient.connect({
    ...(await backend.gateway.createThing('one')),
    sockets: systemSockets,
    clock: systemClock,
    host: '127.0.0.1',
    port: backend.mqttPort,
  });
});

after(async () => {
  await device.disconnect();
  hook.close();
});

const order = (say: string, next = 'end') =>
  device.publish('dt/talkative/orders/one/order', JSON.stringify({ say, next }));

/** The command runs beside the backend, which must be free to answer it. */
async function mimamori(...args: string[]): Promise<{ code: number | null; out: string; complaint: string }> {
  const child = start(...args);
  const texts = [child.stdout, child.stderr].map(async stream => (await stream?.toArray())?.join('') ?? '');
  const [[code], out, complaint] = await Promise.all([once(child, 'exit'), ...texts]);
  return { code, out, complaint };
}

function start(...args: string[]): ChildProcess {
  const [command, ...rest] = args;
  const all = ['bin/mimamori.js', command, '--data', dataDirectory, ...rest];
  return spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The first line that is there, sooner or later. */
function line(question: LogQuestion): Promise<LogLine> {
  return eventually(`a line ${JSON.stringify(question)}`, async () => (await reader.lines(question))[0]);
}

const raised = (name: string) =>
  eventually(name, async () => alarms.find(({ event, alarm }) => event === 'raised' && alarm.name === name)?.alarm);

describe('a running backend', () => {
  it('tells what its functions log: of a thing, in a channel, with the request, and no secrets', async () => {
    await order('hello');
    const { requestId = '', ...said } = await line({
      thingName: 'one',
      grep: 'It was said',
      sinceMs: Date.now() - 60_000,
    });
    assert.deepEqual(
      [said.functionName, said.level, said.depth, said.facts],
      ['obey', 'info', 1, { say: 'hello', password: '[redacted]' }],
    );
    assert(said.eventId !== undefined);
    const [text, json] = await Promise.all([
      mimamori('logs', '--request', requestId, '--channel', 'app'),
      mimamori('logs', '--json', '--request', requestId, '--channel', 'business', '--since', '10m'),
    ]);
    assert.match(text.out, /^[-\d]{10} [:\d]{8}\.\d{3} {2}INFO {3}obey {2}one {2}It was said\. {2}say=hello /);
    assert.equal(JSON.parse(json.out).message, 'Somebody was heard.');
  });

  it('keeps the debug lines of one thing when it is asked to, for a while (covers S4-15)', async () => {
    await order('not yet');
    const { out } = await mimamori('logs', 'level', 'debug', '--thing', 'one', '--for', '1m');
    assert.match(out, /^debug for thing one until /);
    await order('now');
    const { facts } = await line({ grep: 'About to say it' });
    assert.equal(facts?.say, 'now');
  });

  it('shows lines to who follows within 200 ms, and ends with Ctrl-C (covers S1-08)', async () => {
    const child = start('logs', '-f', '--json', '--limit', '0', '--thing', 'one', '--channel', 'app');
    const delays: number[] = [];
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream }); // stdio above says 'pipe'.
    lines.on('line', text => void delays.push(Date.now() - Date.parse(JSON.parse(text).time)));
    for (let count = 0; delays.length < 10; count++) {
      assert(count < 300);
      await order(`number ${count}`);
      await new Promise(resolve => setTimeout(resolve, 50)); // Lines come one by one, as in life.
    }
    const [middle] = delays.toSorted((left, right) => left - right).slice(5);
    assert(middle < 200, `${delays}`);
    child.kill('SIGINT');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });

  it('measures its functions and what they count, for people and for Prometheus (covers S1-11, S1-12)', async () => {
    const { out } = await mimamori('metrics', 'heard');
    assert.match(out, /heard_total +function=obey what=end +\d+/);
    const text = await (await fetch(`${backend.httpUrl}/metrics`)).text();
    assert.match(
      text,
      /^mimamori_function_duration_seconds_bucket\{function="obey",trigger="telemetry",le="\+Inf"\} \d+$/m,
    );
    assert.match(text, /^mimamori_consumer_iterator_age_seconds\{consumer="obey",shard="[^"]+"\} /m);
    const handedOn = await fetch(`${backend.httpUrl}/metrics`, { headers: { 'X-Forwarded-For': '10.0.0.1' } });
    const foreign = await fetch(`${backend.httpUrl}/operator/metrics`);
    assert.deepEqual([handedOn.status, foreign.status], [404, 401]);
  });

  it('shows its alarms also when the disk does not take them', async () => {
    const written = path.join(dataDirectory, '.alarms.json.new');
    mkdirSync(written); // No file can be written in its place.
    await order('a mistake on a bad day', 'throw');
    await raised('functionError');
    const { out } = await mimamori('alarms');
    rmdirSync(written);
    assert.match(out, /RAISED {2}functionError {2}obey/);
  });

  it('says at once what fails, once, and what led to it (covers S0-38)', async () => {
    await order('a mistake', 'throw');
    await order('the same mistake', 'throw');
    const { name, subject, facts } = await raised('functionError');
    assert.match(subject, /^obey: internal at test\/apps\/talkative\.ts:\d+$/);
    const [{ out }, acknowledged] = await Promise.all([
      mimamori('logs', '--request', String(facts?.requestId)),
      mimamori('alarms', 'ack', name, subject),
    ]);
    const failed = /ERROR {2}\[system\] {2}obey {2}one {2}An invocation failed\.[\s\S]+ {6}at .*talkative\.ts/;
    assert.match(out, /It was said\./);
    assert.match(out, failed);
    assert.match(acknowledged.out, /is acknowledged\.\n$/);
    await eventually('it is acknowledged', async () => alarms.find(({ event }) => event === 'acknowledged'));
    await eventually('the webhook was told', async () => posted.find(({ text }) => text.includes('functionError')));
    assert.equal(alarms.filter(({ event, alarm }) => event === 'raised' && alarm.name === name).length, 1);
  });

  it('keeps what a function said before it ended its thread, and says that it was started again', async () => {
    await order('last words before exit', 'exit');
    await line({ grep: 'last words before exit' });
    const { subject } = await raised('appRestarted');
    assert.equal(subject, 'app');
  });

  it('shows what a function said before it looped for ever, while it does', async () => {
    await order('last words before loop', 'loop');
    await line({ grep: 'last words before loop' });
    const { out } = await mimamori('logs', '--grep', 'last words before loop', '--limit', '1', '--json');
    assert.equal(JSON.parse(out).functionName, 'obey');
  });
});

describe('a stopped backend', () => {
  it('has logs and alarms in its folder', async () => {
    await backend.close();
    const [logs, known, none] = await Promise.all([
      mimamori('logs', '--channel', 'app', '--limit', 'all', '--level', 'info'),
      mimamori('alarms'),
      mimamori('logs', '--data', temporaryFolder()),
    ]);
    assert(logs.out.split('\n').length > 10);
    assert.match(known.out, /RAISED {2}appRestarted {2}app/);
    assert.equal(none.code, 1);
    assert.match(none.complaint, /operator\.notRunning/);
  });
});
