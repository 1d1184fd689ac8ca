// What a process uses, its children included, out of /proc. Where there is none, benchmarks say less.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const ticksPerSecond = 100; // USER_HZ, the same on every Linux we know of
const settlePollMs = 500;
const settledPolls = 4; // 2 s without a change to speak of
const settledShare = 0.005;
const settlePollsMax = 60; // 30 s; what still changes then changes always

/** CPU time a process and its children have used, in ms; undefined where there is no /proc. */
export function cpuMsOf(pid: number): number | undefined {
  return sumOverFamily(pid, child => {
    const fields = readFileSync(`/proc/${child}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const ticks = Number(fields[11]) + Number(fields[12]); // utime and stime, proc_pid_stat(5)
    return (ticks * 1_000) / ticksPerSecond;
  });
}

/** Resident memory of a process and its children, in bytes; undefined where there is no /proc. */
export function residentBytesOf(pid: number): number | undefined {
  return sumOverFamily(pid, child => readResidentBytes(readFileSync(`/proc/${child}/status`, 'utf8')));
}

/** VmRSS out of proc_pid_status(5). */
export function readResidentBytes(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1_024;
}

/** Resident memory once it has stopped changing: after the garbage collection that an idle process treats itself to. */
export async function settledResidentBytesOf(pid: number): Promise<number | undefined> {
  let bytes = residentBytesOf(pid);
  for (let polls = 0, steady = 0; polls < settlePollsMax && steady < settledPolls; polls++) {
    await sleep(settlePollMs);
    const now = residentBytesOf(pid);
    if (now === undefined || bytes === undefined) return undefined;
    steady = Math.abs(now - bytes) <= bytes * settledShare ? steady + 1 : 0;
    if (steady === 0) bytes = now;
  }
  return residentBytesOf(pid);
}

function sumOverFamily(pid: number, readOne: (pid: number) => number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return children.reduce((sum, child) => sum + (sumOverFamily(Number(child), readOne) ?? 0), readOne(pid));
  } catch {
    return undefined;
  }
}
