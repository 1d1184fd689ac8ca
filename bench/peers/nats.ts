// NATS as a peer: in Go, all cores, with its MQTT listener (3.1.1). It stores QoS 1 messages, sessions and retained
// messages in its JetStream; there is no way to have its MQTT without.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporaryFolder } from '../cleanup.ts';
import { freePort, startedOnPort } from '../ports.ts';
import type { ServerKind, StartOptions } from '../server-kind.ts';
import { type Peer, ServerProcess } from '../server-process.ts';

const handshakeSeconds = 60; // its default of 2 s is for calm days, not for thousands of connections at once

function configOf(ports: { client: number; mqtt: number }, { certificate, dataFolder }: StartOptions): string {
  const tls = certificate && [
    '  tls {',
    `    cert_file: "${certificate.certFile}"`,
    `    key_file: "${certificate.keyFile}"`,
    `    timeout: ${handshakeSeconds}`,
    '  }',
  ];
  const lines = [
    'server_name: bench',
    'host: 127.0.0.1',
    `port: ${ports.client}`,
    'max_connections: 200000',
    `jetstream { store_dir: "${dataFolder ?? temporaryFolder(tmpdir())}" }`,
    'mqtt {',
    '  host: 127.0.0.1',
    `  port: ${ports.mqtt}`,
    '  max_ack_pending: 65535', // its most; nothing should wait for acknowledgements
    `  authorization { timeout: ${handshakeSeconds} }`,
    ...(tls ?? []),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

async function start(options: StartOptions): Promise<Peer> {
  const ports = { client: await freePort(), mqtt: await freePort() };
  const configFile = join(temporaryFolder(tmpdir()), 'nats.conf');
  writeFileSync(configFile, configOf(ports, options));
  const server = new ServerProcess('NATS', 'nats-server', ['-c', configFile]);
  await startedOnPort(server, ports.mqtt);
  const peer = server.asPeer('nats', ports.mqtt);
  return { ...peer, lastWords: () => withoutInfo(peer.lastWords()) };
}

/** It logs its start, in many lines, where others say what went wrong. */
function withoutInfo(log: string): string {
  return log
    .split('\n')
    .filter(line => !line.includes('[INF]'))
    .join('\n');
}

export const nats: ServerKind = {
  name: 'nats',
  role: 'peer',
  needs: 'nats-server (`sudo apt-get install nats-server`)',
  version: () => /v(\d\S*)/.exec(spawnSync('nats-server', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1],
  start,
  keepsAfterKill:
    'sessions and QoS 1 messages, in files it syncs every 2 minutes: a kill spares them, a power cut does not',
};
