/** What went wrong with a benchmark, and what to do; printed without a stack. */
export class BenchError extends Error {
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}
