// A load generator as the benchmark sees it: a child that is asked one thing at a time.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { trackChild } from './cleanup.ts';
import { BenchError } from './errors.ts';
import type { GeneratorAnswer } from './generators/generator-child.ts';

export class GeneratorProcess<Request, Result> {
  readonly #child: ChildProcess;

  /** @param script relative to bench/ */
  constructor(script: string, nodeFlags: readonly string[] = []) {
    this.#child = trackChild(fork(join(import.meta.dirname, script), { execArgv: [...nodeFlags] }));
  }

  /** @throws BenchError when the generator cannot do it, which mostly means that the server did not. */
  async ask(request: Request): Promise<Result> {
    const settled = new AbortController();
    const exited = once(this.#child, 'exit', { signal: settled.signal }).then(() => {
      throw new BenchError('The load generator ended in the middle.', 'Its error, if it had one, is printed above.');
    });
    exited.catch(() => {}); // heard through the race, or aborted below
    try {
      this.#child.send(request as object); // requests are plain objects
      const answered = once(this.#child, 'message', { signal: settled.signal });
      answered.catch(() => {}); // likewise
      const [answer] = (await Promise.race([answered, exited])) as [GeneratorAnswer<Result>]; // all it ever sends
      if (answer.kind === 'failed') throw new BenchError('The load could not be carried through.', answer.message);
      return answer.result;
    } finally {
      settled.abort();
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    await exited;
  }
}
