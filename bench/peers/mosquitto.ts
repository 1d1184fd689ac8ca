// Mosquitto as a peer: in C, one thread, with nothing that would slow it down.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../cleanup.ts';
import { freePort, startedOnPort } from '../ports.ts';
import type { ServerKind, StartOptions } from '../server-kind.ts';
import { type Peer, ServerProcess } from '../server-process.ts';

/** Debian puts it where an ordinary user's PATH does not look. */
const places = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'];

const autosaveSeconds = 1;
const savedPollMs = 50;

/** Every switch is in Mosquitto's favour: no passwords, no limits, no log, and no disk unless sessions are to be kept. */
function configOf(port: number, { certificate, dataFolder }: StartOptions): string {
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'set_tcp_nodelay true',
    'max_connections -1',
    'max_inflight_messages 0',
    'max_queued_messages 0',
    'sys_interval 0',
    'connection_messages false',
    'log_type error',
    'log_dest stderr',
  ];
  if (certificate !== undefined) lines.push(`certfile ${certificate.certFile}`, `keyfile ${certificate.keyFile}`);
  if (dataFolder === undefined) lines.push('persistence false');
  else lines.push('persistence true', `persistence_location ${dataFolder}/`, `autosave_interval ${autosaveSeconds}`);
  if (process.getuid?.() === 0) lines.push('user root'); // it would become `mosquitto`, who may not read our folders
  return `${lines.join('\n')}\n`;
}

function findMosquitto(): string {
  return places.find(place => existsSync(place)) ?? 'mosquitto';
}

async function start(options: StartOptions): Promise<Peer> {
  const port = await freePort();
  const configFile = join(temporaryFolder(tmpdir()), 'mosquitto.conf');
  writeFileSync(configFile, configOf(port, options));
  const server = new ServerProcess('Mosquitto', findMosquitto(), ['-c', configFile]);
  await startedOnPort(server, port);
  const { dataFolder } = options;
  const peer = server.asPeer('mosquitto', port);
  return dataFolder === undefined ? peer : { ...peer, settled: () => saved(join(dataFolder, 'mosquitto.db')) };
}

/** It saves everything every second. A save that ends now may have begun before the call, so two are waited for. */
async function saved(file: string): Promise<void> {
  for (let saves = 0, last = savedAtMs(file); saves < 2; await sleep(savedPollMs)) {
    const now = savedAtMs(file);
    if (now !== last) saves += 1;
    last = now;
  }
}

function savedAtMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

export const mosquitto: ServerKind = {
  name: 'mosquitto',
  role: 'peer',
  needs: 'mosquitto (`sudo apt-get install mosquitto`, `brew install mosquitto`)',
  version: () => /version (\S+)/.exec(spawnSync(findMosquitto(), ['-h'], { encoding: 'utf8' }).stdout ?? '')?.[1],
  start,
  keepsAfterKill: `what there was at its last autosave, here every ${autosaveSeconds} s, which the run waits for`,
};
