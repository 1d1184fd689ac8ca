// What a number was measured on: without it the number means nothing.
import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, type as systemName, totalmem } from 'node:os';
import { join } from 'node:path';
import { medianOf } from './statistics.ts';

export interface Machine {
  cores: number;
  cpu: string;
  memoryBytes: number;
  kernel: string;
  node: string;
  loadAverageAtStart: number; // over the last minute; above ~0.2 others were using the machine
}

export interface DataDisk {
  folder: string;
  filesystem: string;
  isInMemory: boolean; // then durability cost nothing, and the run says little
  fdatasyncMedianMs: number; // of a 4 KiB append
}

/** Linux magic numbers of statfs(2), as far as one meets them. */
const filesystems: Record<number, string> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  2035054128: 'overlayfs',
  16914836: 'tmpfs',
  2240043254: 'ramfs',
};

const appendBytes = 4096;
const appends = 50;

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    kernel: `${systemName()} ${release()}`,
    node: process.version,
    loadAverageAtStart: loadavg()[0] ?? 0,
  };
}

export function describeDataDisk(folder: string): DataDisk {
  const { type } = statfsSync(folder);
  const filesystem = filesystems[type] ?? `0x${type.toString(16)}`;
  const isInMemory = filesystem === 'tmpfs' || filesystem === 'ramfs';
  return { folder, filesystem, isInMemory, fdatasyncMedianMs: measureFdatasyncMs(folder) };
}

function measureFdatasyncMs(folder: string): number {
  const file = openSync(join(folder, 'fdatasync-probe'), 'w');
  const block = Buffer.alloc(appendBytes, 1);
  const timesMs = Array.from({ length: appends }, () => {
    const startedAtMs = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - startedAtMs;
  });
  closeSync(file);
  return medianOf(timesMs);
}
