// What the stream benchmark asks of everything it measures.

/** One engine, in process or behind a server, with a stream that is empty at first. */
export interface StreamUnderLoad {
  /** Resolves once the record is as durable as the engine can make it. */
  append(data: Buffer): Promise<unknown>;
  /** Many records, as fast as the engine has a way to take them; durable when it resolves. Absent: cannot be asked. */
  fill?(data: Buffer, count: number): Promise<void>;
  /** Hands over what is appended from now on, in batches as they come; resolves once it listens. */
  follow?(onRecords: (records: readonly Buffer[]) => void): Promise<void>;
  /** Hands over all that is there from the oldest on, until so many came. */
  drain?(count: number): Promise<void>;
  close(): Promise<void>;
}

/** How a consumer gathers. */
export interface BatchSettings {
  batchRecordsMax: number;
  batchWindowMs: number;
}
