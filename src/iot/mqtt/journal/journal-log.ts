import type { SequenceNumber } from '../../../platform/stream/index.ts';

/** How far the journal's log is durable, and from where on it is needed: what the stream and a checkpoint tell each other. */
export class JournalLog {
  /** Where it ended when it was recovered. */
  readonly recoveredUpTo: SequenceNumber;
  /** What the last finished checkpoint took, and what the log has grown by since, when it was recovered. In bytes. */
  readonly checkpointBytes: number;
  readonly grownBytes: number;
  #durableUpTo: SequenceNumber;
  #redundantUpTo: SequenceNumber | null;
  #whenDurable: (() => void) | undefined;

  constructor(recovered: {
    lastSequenceNumber: SequenceNumber;
    redundantUpTo: SequenceNumber | null;
    checkpointBytes: number;
    grownBytes: number;
  }) {
    this.recoveredUpTo = recovered.lastSequenceNumber;
    this.checkpointBytes = recovered.checkpointBytes;
    this.grownBytes = recovered.grownBytes;
    this.#durableUpTo = recovered.lastSequenceNumber;
    this.#redundantUpTo = recovered.redundantUpTo;
  }

  get durableUpTo(): SequenceNumber {
    return this.#durableUpTo;
  }

  /** Records up to this one are not needed any more, and deleted with the next full segment; null before a checkpoint. */
  get redundantUpTo(): SequenceNumber | null {
    return this.#redundantUpTo;
  }

  /** A checkpoint that began behind this record is durable. */
  becomeRedundant(upTo: SequenceNumber): void {
    this.#redundantUpTo = upTo;
  }

  becomeDurable(upTo: SequenceNumber): void {
    this.#durableUpTo = upTo;
    this.#whenDurable?.();
  }

  /** Calls `run` after each group commit. One listener. */
  onDurable(run: () => void): void {
    this.#whenDurable = run;
  }
}
