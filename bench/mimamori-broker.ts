// Starts ours as a general broker, `mimamori broker`, for the benchmarks in which the peers are brokers and no more.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from './errors.ts';
import { memberOf, parseJson } from './json.ts';
import type { ServerKind, StartOptions } from './server-kind.ts';
import { type Peer, ServerProcess } from './server-process.ts';

const repository = join(import.meta.dirname, '..');
const command = join(repository, 'bin', 'mimamori.js');
const checkTimeoutMs = 30_000;

async function start({ certificate, dataFolder }: StartOptions): Promise<Peer> {
  const keeps = dataFolder === undefined ? ['--memory'] : ['--data', dataFolder];
  const tls = certificate && ['--tls-port', '0', '--certfile', certificate.certFile, '--keyfile', certificate.keyFile];
  const args = [command, 'broker', '--port', '0', '--allow-anonymous', ...keeps, ...(tls ?? []), '--json'];
  const server = new ServerProcess('Mimamori', process.execPath, args);
  const line = await server.firstLine(text => text.includes('"started"'));
  return server.asPeer('mimamori', readStartedPort(line, certificate === undefined ? 'mqtt' : 'mqtts'));
}

/** The port out of `{"event":"started","urls":{"mqtt":"mqtt://127.0.0.1:1883"}}`. */
export function readStartedPort(line: string, scheme: 'mqtt' | 'mqtts'): number {
  const url = memberOf(memberOf(parseJson(line), 'urls'), scheme);
  const port = typeof url === 'string' && URL.canParse(url) ? Number(new URL(url).port) : 0;
  if (port > 0) return port;
  throw new BenchError(`mimamori broker did not say its ${scheme} address.`, `It said: ${line.slice(0, 500)}`);
}

/** Undefined when this checkout has no `broker` command, and so nothing to measure. */
function version(): string | undefined {
  const help = spawnSync(process.execPath, [command, 'broker', '--help'], {
    encoding: 'utf8',
    timeout: checkTimeoutMs,
  });
  if (help.status !== 0 || !help.stdout.includes('--allow-anonymous')) return undefined;
  return JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')).version;
}

export const mimamoriBroker: ServerKind = {
  name: 'mimamori',
  role: 'subject',
  needs: 'the command `mimamori broker`',
  version,
  start,
  keepsAfterKill: 'everything it acknowledged, synced to disk before it did',
};
