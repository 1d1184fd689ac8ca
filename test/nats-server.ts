/** NATS servers as processes, for tests: one, or a cluster on loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { eventually } from './support.ts';

/** As lines of its configuration. */
export interface ServerSettings {
  readonly lines?: readonly string[];
  readonly jetStream?: readonly string[];
  readonly maxPayload?: string;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class NatsServer {
  readonly port: number;
  readonly #configFile: string;
  #child: ChildProcess;

  private constructor(port: number, configFile: string) {
    this.port = port;
    this.#configFile = configFile;
    this.#child = this.#spawn();
  }

  static async start(folder: string, settings: ServerSettings = {}): Promise<NatsServer> {
    const [port] = await freePorts(1);
    return NatsServer.#startOn(port, folder, 'single', settings);
  }

  /** Three that know each other. */
  static async startCluster(folder: string): Promise<NatsServer[]> {
    const ports = await freePorts(6);
    const routes = ports.slice(3).map(port => `"nats://127.0.0.1:${port}"`);
    return ports.slice(0, 3).map((port, index) => {
      const cluster = `cluster { name: test, listen: "127.0.0.1:${ports[3 + index]}", routes: [${routes.join(', ')}] }`;
      return NatsServer.#startOn(port, path.join(folder, `${index}`), `node-${index}`, { lines: [cluster] });
    });
  }

  static #startOn(port: number, folder: string, name: string, settings: ServerSettings): NatsServer {
    const { lines = [], jetStream = [], maxPayload = '4MB' } = settings;
    mkdirSync(folder, { recursive: true });
    const configFile = path.join(folder, 'nats.conf');
    const config = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${port}"`,
      `max_payload: ${maxPayload}`,
      `jetstream { ${[`store_dir: "${folder}"`, ...jetStream].join(', ')} }`,
      ...lines,
    ];
    writeFileSync(configFile, `${config.join('\n')}\n`);
    return new NatsServer(port, configFile);
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** After a kill, with what it had on disk. */
  restart(): void {
    this.#child = this.#spawn();
  }

  #spawn(): ChildProcess {
    const child = spawn('nats-server', ['-c', this.#configFile], { stdio: 'ignore' });
    running.add(child);
    child.once('exit', () => running.delete(child));
    return child;
  }
}

/** Once one of them answers; goes on with another when that one is gone. */
export function connectTo(servers: readonly NatsServer[], user?: string): Promise<NatsConnection> {
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
  return eventually('a NATS server answers', () =>
    connect({ servers: addresses, user, pass: user && 'x', reconnectTimeWait: 50, maxReconnectAttempts: -1 }).catch(
      () => undefined,
    ),
  );
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await once(server.listen(0, '127.0.0.1'), 'listening');
      return server;
    }),
  );
  const ports: number[] = [];
  for (const server of servers) {
    const address = server.address();
    if (typeof address === 'object' && address) ports.push(address.port);
    server.close();
    await once(server, 'close');
  }
  return ports;
}
