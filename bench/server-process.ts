// A server under measurement as a child process: starting it, what to say when it does not start, stopping it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { trackChild } from './cleanup.ts';
import { BenchError } from './errors.ts';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;
const lastWordsBytesMax = 4_000;

/** What a measurement needs of a server, ours or not. */
export interface Peer {
  name: string;
  pid: number;
  mqttPort: number; // speaks TLS when the server was started with a certificate
  /** Messages stored since the server was started; absent when the server stores nothing. */
  storedCount?: () => Promise<number>;
  /** The end of what it printed on stderr: if it dies under the load, this says why. */
  lastWords(): string;
  stop(): Promise<void>;
  /** Ends it as a crash would, with SIGKILL. */
  kill(): Promise<void>;
  /** Resolves once what was acknowledged before the call would survive `kill`; absent when it does so already. */
  settled?: () => Promise<void>;
}

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #name: string;
  #lastWords = '';

  constructor(name: string, command: string, args: string[]) {
    this.#name = name;
    this.#child = trackChild(spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
    this.#child.on('error', error => {
      this.#lastWords += error.message;
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#lastWords = (this.#lastWords + text.toString()).slice(-lastWordsBytesMax);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  lastWords(): string {
    return this.#lastWords.trim();
  }

  /** The first line on stdout that `accepts`; what follows is read and dropped, so that the child never blocks on it. */
  firstLine(accepts: (line: string) => boolean): Promise<string> {
    const { stdout } = this.#child;
    if (stdout === null) throw new BenchError(`${this.#name} has no stdout.`, 'This is a mistake in the benchmark.');
    const line = new Promise<string>(resolve => {
      createInterface(stdout).on('line', text => {
        if (accepts(text)) resolve(text);
      });
    });
    return this.started(line);
  }

  /** Waits for `ready`, but not for ever, and not when the child has ended. */
  async started<T>(ready: Promise<T>): Promise<T> {
    const settled = new AbortController();
    const { signal } = settled;
    const ended = once(this.#child, 'close', { signal }).then(() => `it exited with code ${this.#child.exitCode}`);
    const late = once(AbortSignal.timeout(startTimeoutMs), 'abort', { signal }).then(() => 'it took over a minute');
    const failed = Promise.race([ended, late]).then(why => {
      throw new BenchError(`${this.#name} did not start: ${why}.`, this.lastWords() || 'It printed no error.');
    });
    try {
      return await Promise.race([ready, failed]);
    } finally {
      failed.catch(() => {}); // lost the race; the abort below ends it
      ended.catch(() => {});
      late.catch(() => {});
      settled.abort();
    }
  }

  async stop(): Promise<void> {
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs);
    await this.#end('SIGTERM');
    clearTimeout(impatience);
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** What every running server has; how it is called and reached is added by who starts it. */
  asPeer(name: string, mqttPort: number): Peer {
    return {
      name,
      pid: this.pid,
      mqttPort,
      lastWords: () => this.lastWords(),
      stop: () => this.stop(),
      kill: () => this.kill(),
    };
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}
