// The servers that the stream benchmark starts: two others, and our own endpoint.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../cleanup.ts';
import { BenchError } from '../errors.ts';
import { freePort, startedOnPort } from '../ports.ts';
import { ServerProcess } from '../server-process.ts';

/** A server with a stream in it, as long as it runs. */
export interface StreamServer {
  readonly pid: number;
  readonly place: string;
  stop(): Promise<void>;
}

export interface StreamServerKind {
  /** Where it comes from, for who does not have it. */
  readonly needs: string;
  /** Undefined: it cannot be had here. */
  version(dataRoot: string): string | undefined;
  start(dataRoot: string): Promise<StreamServer>;
}

/** The first that has `sync_interval` [NATS 2.10 release notes]. */
const natsWithSyncInterval = [2, 10];

function natsVersion(): string | undefined {
  return /v(\d\S*)/.exec(spawnSync('nats-server', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1];
}

function hasSyncInterval(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return major > natsWithSyncInterval[0] || (major === natsWithSyncInterval[0] && minor >= natsWithSyncInterval[1]);
}

/** Whether files made in a folder can be had synchronous, each write being on the disk when it returns (ext4 can). */
function makeSynchronous(folder: string): boolean {
  return spawnSync('chattr', ['+S', folder]).status === 0;
}

async function startNats(dataRoot: string, isSynced: boolean): Promise<StreamServer> {
  const [port, folder] = [await freePort(), temporaryFolder(dataRoot)];
  const hasSetting = isSynced && hasSyncInterval(natsVersion() ?? '');
  if (isSynced && !hasSetting && !makeSynchronous(folder)) {
    throw new BenchError(
      `Writes in ${folder} cannot be made synchronous.`,
      'Choose a folder on ext4 with --data-root.',
    );
  }
  const config = [
    'host: 127.0.0.1',
    `port: ${port}`,
    'server_name: bench',
    `jetstream { store_dir: "${folder}"${hasSetting ? ', sync_interval: always' : ''} }`,
  ];
  const configFile = join(temporaryFolder(dataRoot), 'nats.conf');
  writeFileSync(configFile, `${config.join('\n')}\n`);
  const server = new ServerProcess('NATS', 'nats-server', ['-c', configFile]);
  await startedOnPort(server, port);
  return { pid: server.pid, place: `127.0.0.1:${port}`, stop: () => server.stop() };
}

const natsNeeds = 'nats-server (`sudo apt-get install nats-server`)';

/** As it comes: it syncs every 2 minutes. */
export const nats: StreamServerKind = {
  needs: natsNeeds,
  version: () => natsVersion(),
  start: dataRoot => startNats(dataRoot, false),
};

/** With each write on the disk before it is acknowledged: by its setting, or, before 2.10, by the file system. */
export const natsSynced: StreamServerKind = {
  needs: `${natsNeeds}, of 2.10 or later or with the data on ext4`,
  version: dataRoot => {
    const version = natsVersion();
    if (version === undefined || hasSyncInterval(version)) return version;
    return makeSynchronous(temporaryFolder(dataRoot)) ? `${version} with chattr +S` : undefined;
  },
  start: dataRoot => startNats(dataRoot, true),
};

export const redis: StreamServerKind = {
  needs: 'redis-server (`sudo apt-get install redis-server`)',
  version: () => /v=(\S+)/.exec(spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1],
  async start(dataRoot) {
    const [port, folder] = [await freePort(), temporaryFolder(dataRoot)];
    const settings = { bind: '127.0.0.1', port, dir: folder, appendonly: 'yes', appendfsync: 'always', save: '' };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const server = new ServerProcess('Redis', 'redis-server', args);
    await startedOnPort(server, port);
    return { pid: server.pid, place: String(port), stop: () => server.stop() };
  },
};

const cli = join(import.meta.dirname, '..', '..', 'bin', 'mimamori.js');

/** Ours, over the protocol of Kinesis. */
export const endpoint: StreamServerKind = {
  needs: '`mimamori kinesis`, which this tree does not have yet',
  version() {
    const help = spawnSync(process.execPath, [cli, 'kinesis', '--help'], { encoding: 'utf8' });
    return help.stdout.includes('mimamori kinesis') ? 'this tree' : undefined;
  },
  async start(dataRoot) {
    const folder = temporaryFolder(dataRoot);
    const args = [cli, 'kinesis', '--port', '0', '--data', folder, '--json'];
    const server = new ServerProcess('mimamori kinesis', process.execPath, args);
    const { urls } = JSON.parse(await server.firstLine(line => line.includes('started')));
    return { pid: server.pid, place: urls.kinesis, stop: () => server.stop() };
  },
};
