// What a number was measured on: without it the number means nothing.
import { closeSync, fdatasyncSync, openSync, readFileSync, statfsSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, type as systemName, totalmem } from 'node:os';
import { join } from 'node:path';
import { mosquittoVersion } from './peers/mosquitto.ts';
import { medianOf } from './statistics.ts';

export interface Machine {
  cores: number;
  cpu: string;
  memoryBytes: number;
  kernel: string;
  node: string;
  mosquitto: string;
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
    mosquitto: mosquittoVersion(),
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

const ticksPerSecond = 100; // USER_HZ, the same on every Linux we know of

/** CPU time a process and its children have used, in ms; undefined where there is no /proc. */
export function cpuMsOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const ticks = Number(fields[11]) + Number(fields[12]); // utime and stime, proc_pid_stat(5)
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    const childrenMs = children.map(child => cpuMsOf(Number(child)) ?? 0).reduce((sum, ms) => sum + ms, 0);
    return (ticks * 1_000) / ticksPerSecond + childrenMs;
  } catch {
    return undefined;
  }
}
