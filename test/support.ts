/** What tests that start real processes share. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';

/** How often campaigns repeat: short in `npm test`, long in `npm run test:long`. */
export function testScale(short: number, long: number): number {
  return process.env.MIMAMORI_TEST_LONG ? long : short;
}

/** A folder of its own for a test, removed when the test process ends: what uses it is closed by then. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'mimamori-test-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** "skipped: needs X" for a test whose tool is not installed, else false. */
export function missing(program: string): string | false {
  const found = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
  return found ? false : `skipped: needs ${program}`;
}

/** A command as a user runs it, to its end. */
export function mimamori(...args: string[]): { code: number | null; out: string; complaint: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/mimamori.js', ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, complaint: stderr };
}

/** A backend in a process of its own, as a user starts it. */
export class BackendProcess {
  readonly httpUrl: string;
  readonly mqttPort: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, urls: { http: string; mqtt: string }) {
    this.#child = child;
    this.httpUrl = urls.http;
    this.mqttPort = Number(new URL(urls.mqtt).port);
  }

  static async start(
    dataDirectory: string,
    options: {
      app?: string;
      mqttPort?: number;
      env?: Record<string, string>;
      descriptors?: number;
      args?: readonly string[];
    } = {},
  ): Promise<BackendProcess> {
    const ports = ['--http-port', '0', '--mqtt-port', String(options.mqttPort ?? 0)];
    const args = ['bin/mimamori.js', 'start', options.app ?? 'apps/speaker', '--data', dataDirectory];
    const limit = options.descriptors === undefined ? '' : `ulimit -n ${options.descriptors}; `;
    const command = [process.execPath, ...args, ...ports, '--no-simulate', '--json', ...(options.args ?? [])];
    const child = spawn('sh', ['-c', `${limit}exec "$@"`, 'sh', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    let complaints = '';
    child.stderr?.on('data', bytes => {
      complaints = (complaints + bytes).slice(-10_000);
    });
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream }); // stdio above says 'pipe'.
    const [line] = await Promise.race([
      startedOr(lines),
      once(child, 'exit').then(() => Promise.reject(new Error(`The backend did not start: ${complaints}`))),
    ]);
    const first = JSON.parse(line);
    if (first.event !== 'started') throw new Error(`The backend did not start: ${line} ${complaints}`);
    return new BackendProcess(child, first.urls);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** A token as a user gets it. */
  static token(dataDirectory: string, user: string): string {
    const args = ['bin/mimamori.js', 'token', '--user', user, '--data', dataDirectory];
    return spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout.trim();
  }

  /** Ends it as it is, and waits until it is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT' = 'SIGKILL'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    const [code] = await exited;
    return code;
  }

  /** Answers with the parsed body; throws for anything but success. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
  async call(token: string, method: string, route: string, body?: unknown): Promise<any> {
    const answer = await fetch(this.httpUrl + route, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${route} answered ${answer.status}: ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  }
}

/** The line that says so, or an error. What happens meanwhile may be told before. */
function startedOr(lines: Interface): Promise<[string]> {
  return new Promise(resolve => {
    lines.on('line', line => {
      if (/^\{"event":"(started|error)"/.test(line)) resolve([line]);
    });
  });
}

/** Asks again and again until `ask` gives something. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>, withinMs = 15_000): Promise<T> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > untilMs) throw new Error(`It did not happen within ${withinMs} ms: ${what}.`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
