import v8 from 'node:v8';
import vm from 'node:vm';
import type { Campaign } from './finding.ts';

const mib = 2 ** 20;

/** Memory a campaign may have taken at its end beyond what it had when it was warm. */
export const memoryLimits = {
  // ours: what the collector leaves lying about between two looks. Seen: 26 MiB in 5,000,000 packets, and 118 MiB in
  // 12,000 conversations, whose gateways' disks are in memory.
  residentGrowthBytesMax: { packets: 96 * mib, sessions: 256 * mib },
  // ours: live objects after a full collection. One leaked connection per conversation would be over 100 MiB.
  heapGrowthBytesMax: 8 * mib,
} as const;

export interface MemoryUse {
  readonly warmResidentBytes: number;
  readonly peakResidentBytes: number;
  readonly warmHeapBytes: number;
  readonly endHeapBytes: number;
}

/** Looks at the memory of the process now and then, from the moment it is warm. */
export class MemoryWatch {
  readonly #collect: () => void;
  #warmResidentBytes = 0;
  #peakResidentBytes = 0;
  #warmHeapBytes = 0;

  constructor() {
    v8.setFlagsFromString('--expose-gc');
    this.#collect = vm.runInNewContext('gc');
  }

  get isWarm(): boolean {
    return this.#warmHeapBytes > 0;
  }

  /** What is measured from here on is compared with this moment. */
  warm(): void {
    this.#warmHeapBytes = this.#heapBytes();
    this.#warmResidentBytes = process.memoryUsage.rss();
    this.#peakResidentBytes = this.#warmResidentBytes;
  }

  look(): void {
    this.#peakResidentBytes = Math.max(this.#peakResidentBytes, process.memoryUsage.rss());
  }

  use(): MemoryUse {
    this.look();
    return {
      warmResidentBytes: this.#warmResidentBytes,
      peakResidentBytes: this.#peakResidentBytes,
      warmHeapBytes: this.#warmHeapBytes,
      endHeapBytes: this.#heapBytes(),
    };
  }

  /** Of live objects, buffers outside the heap included, whose memory is given back a collection later. */
  #heapBytes(): number {
    for (let time = 0; time < 4; time++) this.#collect();
    const { used_heap_size: used, external_memory: external } = v8.getHeapStatistics();
    return used + external;
  }
}

/** What has grown too much, in words; undefined when memory was flat. */
export function judgeMemory(use: MemoryUse, campaign: Campaign): string | undefined {
  const resident = use.peakResidentBytes - use.warmResidentBytes;
  const heap = use.endHeapBytes - use.warmHeapBytes;
  if (heap > memoryLimits.heapGrowthBytesMax) return `live objects grew by ${inMib(heap)} MiB`;
  if (resident > memoryLimits.residentGrowthBytesMax[campaign]) return `resident memory grew by ${inMib(resident)} MiB`;
  return undefined;
}

export function inMib(bytes: number): number {
  return Math.round((bytes / mib) * 10) / 10;
}
