/** What is remembered of an invocation for a while. JSON says all of it. */
export interface Trace {
  readonly functionName: string;
  readonly requestId: string;
  readonly shardId: string;
  /** The records it ran for lie between these two, inclusive; decimal numbers, as Kinesis writes them. */
  readonly first: string;
  readonly last: string;
  /** How many of them it was given: fewer than lie there when some were of no interest to it. */
  readonly count: number;
  readonly outcome: string;
  readonly attempt: number;
  readonly atMs: number;
  readonly durationMs: number;
  /** What it failed with. */
  readonly error?: { readonly code: string; readonly message: string };
  /** How much it wrote, sent and published, and the first of it in words. */
  readonly made?: Readonly<Record<string, number>>;
  readonly effects?: readonly string[];
}
