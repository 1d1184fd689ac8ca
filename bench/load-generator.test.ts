import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { parser } from 'mqtt-packet';
import type { GeneratorAnswer } from './generators/generator-child.ts';
import type { GeneratorResult, ToGenerator } from './load.ts';

const inFlight = 4;

/** Acknowledges newest first and in two pieces, and notes what a server may expect of a client. */
class AwkwardServer {
  received = 0;
  inFlightMax = 0;
  readonly mistakes: string[] = [];
  readonly topics = new Set<string>();

  serve(socket: Socket): void {
    const unacknowledged: number[] = [];
    const decoder = parser();
    decoder.on('packet', packet => {
      if (packet.cmd === 'connect') socket.write(Buffer.from([0x20, 2, 0, 0]));
      if (packet.cmd !== 'publish' || packet.messageId === undefined) return;
      if (unacknowledged.includes(packet.messageId)) this.mistakes.push(`id ${packet.messageId} used twice`);
      JSON.parse(String(packet.payload));
      this.topics.add(packet.topic);
      this.received += 1;
      unacknowledged.push(packet.messageId);
      this.inFlightMax = Math.max(this.inFlightMax, unacknowledged.length);
    });
    socket.setNoDelay(true);
    socket.on('data', bytes => {
      decoder.parse(bytes);
      if (unacknowledged.length === 0) return;
      const acks = unacknowledged.splice(0).reverse();
      const answer = Buffer.from(acks.flatMap(id => [0x40, 2, 0, id]));
      socket.write(answer.subarray(0, 3));
      setImmediate(() => socket.write(answer.subarray(3)));
    });
  }
}

type Answer = GeneratorAnswer<GeneratorResult | undefined>;

async function ask(generator: ChildProcess, request: ToGenerator): Promise<Answer> {
  generator.send(request);
  const [answer] = (await once(generator, 'message')) as [Answer]; // all it ever sends
  return answer;
}

async function listen(serve: (socket: Socket) => void) {
  const server = createServer(socket => {
    socket.on('error', () => {}); // a generator that gave up leaves without a goodbye
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port }; // TCP: never a string
}

const planFor = (port: number) => {
  const identities = ['a', 'b', 'c'].map(clientId => ({ clientId, username: clientId, password: 'secret' }));
  return { port, payloadBytes: 100, inFlightPerConnection: inFlight, identities };
};

it('publishes again for each acknowledgement, in any order and cut anywhere, and counts every message once', async () => {
  const awkward = new AwkwardServer();
  const { server, port } = await listen(socket => awkward.serve(socket));
  const generator = fork(join(import.meta.dirname, 'load-generator.ts'));
  assert.equal((await ask(generator, { kind: 'open', plan: planFor(port) })).kind, 'done');
  const first = await ask(generator, { kind: 'go', seconds: 0.2 });
  const second = await ask(generator, { kind: 'go', seconds: 0.2 });
  generator.disconnect();
  server.close();

  assert(first.kind === 'done' && second.kind === 'done');
  assert(first.result && second.result);
  assert(second.result.messages > 100);
  assert.equal(awkward.received, first.result.messages + second.result.messages);
  assert.equal(awkward.inFlightMax, inFlight);
  assert.deepEqual(awkward.mistakes, []);
  assert.deepEqual(
    [...awkward.topics].sort(),
    ['a', 'b', 'c'].map(thing => `dt/bench/sample/${thing}/reading`),
  );
});

it('says so when the server refuses a connection', async () => {
  const { server, port } = await listen(socket => socket.once('data', () => socket.end(Buffer.from([0x20, 2, 0, 5]))));
  const generator = fork(join(import.meta.dirname, 'load-generator.ts'));
  const answer = await ask(generator, { kind: 'open', plan: planFor(port) });
  if (generator.connected) generator.disconnect();
  server.close();
  assert(answer.kind === 'failed');
  assert.match(answer.message, /could not be opened: the answer to CONNECT was 0x20020005/);
});

it('says so when the server closes a connection during the load', async () => {
  const { server, port } = await listen(socket => {
    socket.once('data', () => {
      socket.write(Buffer.from([0x20, 2, 0, 0]));
      socket.once('data', () => socket.destroy());
    });
  });
  const generator = fork(join(import.meta.dirname, 'load-generator.ts'));
  await ask(generator, { kind: 'open', plan: planFor(port) });
  const answer = await ask(generator, { kind: 'go', seconds: 5 });
  if (generator.connected) generator.disconnect();
  server.close();
  assert(answer.kind === 'failed');
  assert.match(answer.message, /closed connection|broke/);
});
