/** What tests of `mimamori broker` as a real process share. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { hashPassword } from '../src/iot/access/index.ts';
import { systemRandom } from '../src/kernel/random.ts';
import { TestAuthority } from '../src/kernel/test-certificates.ts';

export type Scheme = 'mqtt' | 'mqtts' | 'ws' | 'wss';

/** The option that opens a door. */
const portOptions: Readonly<Record<Scheme, string>> = {
  mqtt: '--port',
  mqtts: '--tls-port',
  ws: '--ws-port',
  wss: '--wss-port',
};

/** A line of `--json`. */
export interface BrokerEvent {
  readonly event: string;
  readonly code?: string;
  readonly message?: string;
  readonly fix?: string;
  readonly text?: string;
  readonly urls?: Readonly<Record<string, string>>;
}

export interface BrokerProcessOptions {
  /** Default: in memory. */
  readonly dataDirectory?: string;
  /** Doors, each on a free port. Default: `mqtt`. */
  readonly schemes?: readonly Scheme[];
  /** Further arguments, as a user writes them. */
  readonly args?: readonly string[];
}

/** A broker in a process of its own, as a user starts it. */
export class BrokerProcess {
  readonly #command: readonly string[];
  #child: ChildProcess | undefined;
  #events: BrokerEvent[] = [];
  #waiting: (() => void)[] = [];
  #urls: Readonly<Record<string, string>> = {};
  #complaints = '';

  private constructor(command: readonly string[]) {
    this.#command = command;
  }

  static async start({
    dataDirectory,
    schemes = ['mqtt'],
    args = [],
  }: BrokerProcessOptions = {}): Promise<BrokerProcess> {
    const storage = dataDirectory === undefined ? ['--memory'] : ['--data', dataDirectory];
    const broker = new BrokerProcess(['broker', '--json', ...storage, ...args]);
    await broker.#start(schemes.flatMap(scheme => [portOptions[scheme], '0']));
    return broker;
  }

  /** Starts it again as it was: on the same data and the same ports, and with no other help. */
  async restart(): Promise<void> {
    assert(this.#child && isOver(this.#child), 'it is still running');
    await this.#start(
      Object.keys(this.#urls).flatMap(scheme => [portOptions[scheme as Scheme], `${this.port(scheme)}`]),
    ); // Its own words.
  }

  async #start(ports: readonly string[]): Promise<void> {
    const child = spawn(process.execPath, ['bin/mimamori.js', ...this.#command, ...ports], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#events = [];
    this.#complaints = '';
    child.stderr.on('data', bytes => {
      this.#complaints = (this.#complaints + bytes).slice(-10_000);
    });
    createInterface({ input: child.stdout }).on('line', line => {
      this.#events.push(JSON.parse(line));
      for (const wake of this.#waiting.splice(0)) wake();
    });
    child.once('close', () => {
      for (const wake of this.#waiting.splice(0)) wake();
    });
    const first = await this.event(() => true);
    assert(first.event === 'started' && first.urls, `The broker did not start: ${JSON.stringify(first)}`);
    this.#urls = first.urls;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !isOver(this.#child);
  }

  /** What it has written to stderr. */
  get complaints(): string {
    return this.#complaints;
  }

  url(scheme: Scheme): string {
    assert(this.#urls[scheme], `there is no ${scheme}`);
    return this.#urls[scheme];
  }

  port(scheme: Scheme | string = 'mqtt'): number {
    return Number(new URL(this.#urls[scheme]).port);
  }

  /** The next event of which that is true, each once; waits for it, and fails when the process ends without it. */
  async event(isIt: (event: BrokerEvent) => boolean): Promise<BrokerEvent> {
    for (;;) {
      const at = this.#events.findIndex(isIt);
      if (at !== -1) return this.#events.splice(at, 1)[0];
      if (!this.isRunning) throw new Error(`The broker has ended: ${this.#complaints}`);
      await new Promise<void>(resolve => this.#waiting.push(resolve));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends it as it is, and waits until it is gone. Its exit code; null when the signal ended it. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT' = 'SIGKILL'): Promise<number | null> {
    const child = this.#child;
    if (!child || isOver(child)) return child?.exitCode ?? null;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = await exited;
    return code;
  }
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Runs the command to its end. */
export function mimamori(
  args: readonly string[],
  { input = '' }: { readonly input?: string } = {},
): { readonly code: number | null; readonly out: string; readonly complaint: string } {
  const run = spawnSync(process.execPath, ['bin/mimamori.js', ...args], { encoding: 'utf8', input, timeout: 30_000 });
  return { code: run.status, out: run.stdout, complaint: run.stderr };
}

/** Passwords by user name, as a file. The hash is a fast one: how slow it should be is not what these tests ask. */
export async function writePasswordFile(filePath: string, users: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(users).map(
    async ([name, password]) =>
      `${name}:${await hashPassword(Buffer.from(password), systemRandom, { iterations: 5 })}\n`,
  );
  writeFileSync(filePath, (await Promise.all(lines)).join(''));
}

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly ca: string;
  readonly server: { readonly key: string; readonly certificate: string };
  readonly client: { readonly key: string; readonly certificate: string };
  /** An authority that has vouched for nobody here. */
  readonly strangeCa: string;
}

/** An authority, a server at 127.0.0.1 and a client of that common name. */
export async function writeCertificates(folder: string, commonName: string): Promise<CertificateFiles> {
  const authority = await TestAuthority.create();
  const stranger = await TestAuthority.create({ commonName: 'Somebody else' });
  const write = (name: string, text: string) => {
    const filePath = path.join(folder, name);
    writeFileSync(filePath, text, { mode: 0o600 });
    return filePath;
  };
  const server = await authority.issueServer();
  const client = await authority.issueClient(commonName);
  return {
    ca: write('ca.crt', authority.certificate),
    server: { key: write('server.key', server.key), certificate: write('server.crt', server.certificate) },
    client: { key: write('client.key', client.key), certificate: write('client.crt', client.certificate) },
    strangeCa: write('strange-ca.crt', stranger.certificate),
  };
}
