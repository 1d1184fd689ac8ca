// Mosquitto as the yardstick: plain QoS 1 routing in memory, with nothing that would slow it down.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporaryFolder } from '../cleanup.ts';
import { BenchError } from '../errors.ts';
import { freePort, listening } from '../ports.ts';
import { type Peer, ServerProcess } from '../server-process.ts';

/** Debian puts it where an ordinary user's PATH does not look. */
const places = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'];

/** Every switch is in Mosquitto's favour: no disk, no passwords, no limits, no log. */
const configOf = (port: number) => `
listener ${port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_connections -1
max_inflight_messages 0
max_queued_messages 0
sys_interval 0
connection_messages false
log_type error
log_dest stderr
`;

export function findMosquitto(): string {
  const command = places.find(place => existsSync(place)) ?? 'mosquitto';
  if (spawnSync(command, ['-h']).error === undefined) return command;
  throw new BenchError(
    'Mosquitto, which this benchmark compares with, is not installed.',
    'Install it: `sudo apt-get install mosquitto` (Debian, Ubuntu) or `brew install mosquitto` (macOS).',
  );
}

export function mosquittoVersion(): string {
  const help = spawnSync(findMosquitto(), ['-h'], { encoding: 'utf8' }).stdout;
  return /version (\S+)/.exec(help)?.[1] ?? 'unknown';
}

export async function startMosquitto(): Promise<Peer> {
  const command = findMosquitto();
  const port = await freePort();
  const configFile = join(temporaryFolder(tmpdir()), 'mosquitto.conf');
  writeFileSync(configFile, configOf(port));
  const server = new ServerProcess('Mosquitto', command, ['-c', configFile]);
  let abandoned = false;
  try {
    await server.started(listening(port, () => abandoned));
  } finally {
    abandoned = true;
  }
  return {
    name: 'mosquitto',
    pid: server.pid,
    mqttPort: port,
    lastWords: () => server.lastWords(),
    stop: () => server.stop(),
  };
}
