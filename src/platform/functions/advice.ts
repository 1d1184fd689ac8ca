/**
 * Which memory size a function should have on Lambda, and what it would cost. Lambda gives processor time in proportion to
 * memory, a whole processor at 1,769 MB, and bills memory times duration. So for a function that waits w and computes c
 * milliseconds, at m MB the duration is w + c·1769/m and the price m·w + 1769·c: more memory makes waiting dearer, and
 * computing faster at the same price. Duration times price is least at m = 1769·c/w. A function that only computes is best
 * at 1,769 MB, one that only waits at the smallest size that holds its memory. JavaScript uses one processor: beyond
 * 1,769 MB nothing gets faster.
 */
export const lambdaLimits = {
  memoryMegabytesMin: 128, // Lambda "MemorySize"
  memoryMegabytesMax: 10_240, // Lambda "MemorySize"
  processorMegabytes: 1_769, // Lambda: "at 1,769 MB a function has the equivalent of one vCPU"
  memoryStepMegabytes: 64, // ours: finer steps promise more than is known
  runtimeMegabytes: 64, // ours: what Node takes beside the heap, buffers included
  headroom: 1.25, // ours: above the most that was seen
} as const;

/** List prices, dollars. */
export const lambdaPrices = {
  region: 'ap-northeast-1 and us-east-1',
  architecture: 'x86',
  asOf: '2026-09-23',
  dollarsPerMillionRequests: 0.2,
  dollarsPerGigabyteSecond: 0.0000166667,
} as const;

export interface MeasuredUse {
  /** On average. */
  readonly durationMs: number;
  /** On average; undefined: not known. */
  readonly cpuMs: number | undefined;
  /** The most; undefined: not known. */
  readonly memoryBytes: number | undefined;
}

export interface MemoryAdvice {
  readonly memoryMegabytes: number;
  /** What decides it. */
  readonly boundBy: 'memory' | 'processor' | 'waiting';
  /** What to expect there. Lambda's processors are others than this machine's. */
  readonly durationMs: number;
  readonly dollarsPerMillion: number;
  /** What has not been measured, and so was not taken into account. */
  readonly unknown: readonly ('memory' | 'processor')[];
}

export function memoryAdvice({ durationMs, cpuMs, memoryBytes }: MeasuredUse): MemoryAdvice {
  const { memoryMegabytesMin, processorMegabytes } = lambdaLimits;
  const computingMs = Math.min(cpuMs ?? 0, durationMs);
  const waitingMs = durationMs - computingMs;
  const forMemory = memoryBytes === undefined ? memoryMegabytesMin : megabytesFor(memoryBytes);
  const forProcessor = waitingMs > 0 ? (processorMegabytes * computingMs) / waitingMs : processorMegabytes;
  const wanted = stepped(Math.min(forProcessor, processorMegabytes));
  const memoryMegabytes = Math.min(Math.max(wanted, forMemory), lambdaLimits.memoryMegabytesMax);
  const isByMemory = forMemory >= wanted && forMemory > memoryMegabytesMin;
  return {
    memoryMegabytes,
    boundBy: isByMemory ? 'memory' : wanted > memoryMegabytesMin ? 'processor' : 'waiting',
    ...expectedAt(memoryMegabytes, waitingMs, computingMs),
    unknown: [
      ...(memoryBytes === undefined ? (['memory'] as const) : []),
      ...(cpuMs === undefined ? (['processor'] as const) : []),
    ],
  };
}

function expectedAt(memoryMegabytes: number, waitingMs: number, computingMs: number) {
  const durationMs = waitingMs + computingMs * Math.max(1, lambdaLimits.processorMegabytes / memoryMegabytes);
  const gigabyteSeconds = (memoryMegabytes / 1_024) * (Math.ceil(durationMs) / 1_000); // billed in steps of 1 ms
  const { dollarsPerMillionRequests, dollarsPerGigabyteSecond } = lambdaPrices;
  return {
    durationMs,
    dollarsPerMillion: dollarsPerMillionRequests + gigabyteSeconds * 1e6 * dollarsPerGigabyteSecond,
  };
}

function megabytesFor(memoryBytes: number): number {
  return stepped((memoryBytes / 2 ** 20) * lambdaLimits.headroom + lambdaLimits.runtimeMegabytes);
}

/** Up to the next step; a whole processor is its own. */
function stepped(megabytes: number): number {
  const { memoryStepMegabytes, memoryMegabytesMin, processorMegabytes } = lambdaLimits;
  const up = Math.ceil(megabytes / memoryStepMegabytes) * memoryStepMegabytes;
  const isBeyond = megabytes <= processorMegabytes && up > processorMegabytes;
  return Math.max(memoryMegabytesMin, isBeyond ? processorMegabytes : up);
}
