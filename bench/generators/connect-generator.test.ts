import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ConnectRequest, ConnectResult } from './connecting.ts';
import { forkGenerator, GeneratorTestServer } from './generator-test-server.ts';

describe('the connect generator', () => {
  let server: GeneratorTestServer;
  let generator: ReturnType<typeof forkGenerator<ConnectRequest, ConnectResult>>;
  let request: { target: { port: number; isTls: boolean }; atOnce: number };

  beforeEach(async () => {
    server = new GeneratorTestServer();
    request = { target: { port: await server.listen(), isTls: false }, atOnce: 4 };
    generator = forkGenerator('connect-generator.ts');
  });
  afterEach(async () => {
    await generator.end();
    server.close();
  });

  async function ask(asked: ConnectRequest): Promise<ConnectResult> {
    const answer = await generator.ask(asked);
    assert(answer.kind === 'done', JSON.stringify(answer));
    return answer.result;
  }

  it('counts connections, and leaves each of them with DISCONNECT', async () => {
    const { connects, p50Ms } = await ask({ kind: 'rate', ...request, seconds: 0.1, openMax: 10 });
    assert(connects > 10);
    assert(p50Ms > 0);
    assert.equal(server.sessions.size, connects);
    assert.equal(server.disconnects, connects);
  });

  it('finds its sessions and their messages where the server has kept them', async () => {
    await ask({ kind: 'prepare', ...request, sessions: 10, payloadBytes: 100 });
    const result = await ask({ kind: 'resume', ...request, sessions: 10, payloadBytes: 100 });
    assert.deepEqual([result.sessionsPresent, result.messagesReceived], [10, 10]);
  });

  it('tells which the server has lost', async () => {
    await ask({ kind: 'prepare', ...request, sessions: 10, payloadBytes: 100 });
    for (const clientId of [...server.sessions.keys()].filter(id => id.startsWith('bench-s-')).slice(0, 3)) {
      server.sessions.delete(clientId);
    }
    const result = await ask({ kind: 'resume', ...request, sessions: 10, payloadBytes: 100 });
    assert.deepEqual([result.sessionsPresent, result.messagesReceived], [7, 7]);
  });

  it('gives up on a message that is not the one of the session', async () => {
    await ask({ kind: 'prepare', ...request, sessions: 2, payloadBytes: 100 });
    const [first, second] = [...server.sessions.values()].filter(session => !session.isClean);
    [first.queued, second.queued] = [second.queued, first.queued];
    const answer = await generator.ask({ kind: 'resume', ...request, sessions: 2, payloadBytes: 100 });
    assert(answer.kind === 'failed');
    assert.match(answer.message, /expected its message and got 0x/);
  });
});
