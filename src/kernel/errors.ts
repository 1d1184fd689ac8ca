/** Every refusal a caller can meet has a stable code, says what happened, and says what to do about it. */
export interface ErrorDescription {
  /** Stable public contract, `area.reason`; never reused for another meaning. Listed in docs/errors.md. */
  readonly code: string;
  readonly message: string;
  /** What the reader should do now. */
  readonly fix: string;
  /** Whether the same call may succeed later without being changed. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

export class MimamoriError extends Error {
  readonly code: string;
  readonly fix: string;
  readonly retryable: boolean;

  constructor(description: ErrorDescription) {
    super(description.message, description.cause === undefined ? undefined : { cause: description.cause });
    this.name = 'MimamoriError';
    this.code = description.code;
    this.fix = description.fix;
    this.retryable = description.retryable ?? false;
  }
}

/** The message of anything that was thrown, for a log line or a dead letter. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The stable code of anything that was thrown; what is not ours is `internal`. */
export function codeOf(thrown: unknown): string {
  if (thrown instanceof MimamoriError) return thrown.code;
  // Node's own errors carry a code such as ENOSPC, which says more than `internal`.
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : 'internal';
}

/** An error as it crosses threads and is printed: what a caller may match on and show. */
export interface ErrorFacts {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  readonly retryable: boolean;
}

export function factsOf(error: unknown): ErrorFacts {
  if (error instanceof MimamoriError) {
    const { code, message, fix, retryable } = error;
    return { code, message, fix, retryable };
  }
  return { code: codeOf(error), message: messageOf(error), fix: 'See the log for what led to it.', retryable: false };
}
