/** What the running of code takes. Handed in, so that a test can say it. */
export interface ThreadUsage {
  /** Processor time of this thread since it began, milliseconds. */
  cpuMs(): number;
  /** Heap in use on this thread, with buffers outside of it. */
  memoryBytes(): number;
}

export const systemUsage: ThreadUsage = {
  cpuMs: () => {
    const { user, system } = process.threadCpuUsage(); // microseconds
    return (user + system) / 1_000;
  },
  memoryBytes: () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
};
