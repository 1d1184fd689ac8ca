// Starts ours, through the same commands a user types, with as many things as the largest load has connections.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { trackChild } from './cleanup.ts';
import { BenchError } from './errors.ts';
import { memberOf, parseJson } from './json.ts';
import type { Identity } from './load.ts';
import { type Peer, ServerProcess } from './server-process.ts';

const repository = join(import.meta.dirname, '..');
const command = join(repository, 'bin', 'mimamori.js');
const app = join(import.meta.dirname, 'ingest-app');
const outputBytesMax = 1024 * 1024 * 1024;

export function checkMimamori(): void {
  for (const path of [command, app]) {
    if (existsSync(path)) continue;
    const missing = relative(repository, path);
    throw new BenchError(`${missing} is missing.`, 'Run the benchmark from a complete checkout of Mimamori.');
  }
}

export async function createThings(dataFolder: string, count: number): Promise<Identity[]> {
  const args = ['things', 'create', '--app', app, '--data', dataFolder, '--prefix', 'bench', '--count', String(count)];
  const running = promisify(execFile)(process.execPath, [command, ...args, '--json'], { maxBuffer: outputBytesMax });
  trackChild(running.child);
  const { stdout } = await running.catch((error: Error & { stderr?: string }) => {
    throw new BenchError('The things for the benchmark could not be created.', error.stderr?.trim() || error.message);
  });
  const identities = stdout.split('\n').filter(Boolean).map(readIdentity);
  if (identities.length === count) return identities;
  throw new BenchError(`${identities.length} things were created, not ${count}.`, `Output: ${stdout.slice(0, 500)}`);
}

export async function startMimamori(dataFolder: string): Promise<Peer> {
  const ports = ['--http-port', '0', '--mqtt-port', '0'];
  const args = [command, 'start', app, '--data', dataFolder, ...ports, '--no-simulate', '--json'];
  const server = new ServerProcess('Mimamori', process.execPath, args);
  const started = readStarted(await server.firstLine(line => line.includes('"started"')));
  const peer = server.asPeer('mimamori', Number(new URL(started.mqtt).port));
  return { ...peer, storedCount: () => storedCount(started.http) };
}

/** @throws BenchError when a message was dead-lettered: a rate that counts lost readings is worth nothing. */
async function storedCount(httpUrl: string): Promise<number> {
  const text = await readText(`${httpUrl}/healthz`);
  const ingest = memberOf(memberOf(parseJson(text), 'status') === 'ok' ? parseJson(text) : undefined, 'ingest');
  const processed = memberOf(ingest, 'processed');
  const deadLettered = memberOf(ingest, 'deadLettered');
  if (typeof processed !== 'number') throw unexpected('GET /healthz', text);
  if (deadLettered === 0) return processed;
  throw new BenchError(
    `${deadLettered} messages were dead-lettered.`,
    'See why in the dead letters of bench/ingest-app.',
  );
}

async function readText(url: string): Promise<string> {
  try {
    return await (await fetch(url)).text();
  } catch (error) {
    throw new BenchError(`Mimamori did not answer GET ${url}.`, String(error));
  }
}

function readIdentity(line: string): Identity {
  const thing = parseJson(line);
  const [clientId, username, password] = ['clientId', 'username', 'password'].map(name => memberOf(thing, name));
  if (typeof clientId === 'string' && typeof username === 'string' && typeof password === 'string') {
    return { clientId, username, password };
  }
  throw unexpected('things create', line);
}

function readStarted(line: string): { http: string; mqtt: string } {
  const urls = memberOf(parseJson(line), 'urls');
  const [http, mqtt] = [memberOf(urls, 'http'), memberOf(urls, 'mqtt')];
  if (typeof http === 'string' && typeof mqtt === 'string') return { http, mqtt };
  throw unexpected('start', line);
}

function unexpected(source: string, text: string): BenchError {
  return new BenchError(`The answer of ${source} was not as expected.`, `It was: ${text.slice(0, 500)}`);
}
