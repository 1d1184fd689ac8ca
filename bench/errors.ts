/** What went wrong with a benchmark, and what to do; printed without a stack. */
export class BenchError extends Error {
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

/** The error, with what the server under the load last printed: if it died, this says why. */
export function withLastWords(error: unknown, peer: { name: string; lastWords(): string }): unknown {
  const lastWords = peer.lastWords();
  if (!(error instanceof BenchError) || lastWords === '') return error;
  return new BenchError(error.message, `${error.fix}\n${peer.name} printed: ${lastWords}`);
}
