/** The invocations of an app under test, as they ended. */
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import { Newest } from './newest.ts';

export interface SeenInvocation extends Omit<InvocationReport, 'error'> {
  /** What it failed with. */
  readonly code?: string;
  readonly message?: string;
}

export class SeenInvocations {
  readonly #newest = new Newest<SeenInvocation>();

  note({ error, ...report }: InvocationReport): void {
    const failure = error === undefined ? {} : { code: codeOf(error), message: messageOf(error) };
    this.#newest.add({ ...report, use: { ...report.use }, ...failure });
  }

  all(): readonly SeenInvocation[] {
    return this.#newest.all();
  }
}
