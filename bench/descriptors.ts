// How many connections the system lets one process have.
import { execFileSync } from 'node:child_process';

const reserved = 500; // of each process: files, libraries, listeners, JetStream's files

/**
 * Of generator and server alike. Node raises its soft limit to the hard one when it starts, and its children have what
 * it has, so what a shell started from here says is what every process of the run may use.
 */
export function descriptorsMax(): number {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}

/** As many connections as wanted, or as there is room for, which is said then. */
export function fitConnections(wanted: number, limit = descriptorsMax()): { connections: number; notes: string[] } {
  const connections = Math.max(1, Math.min(wanted, limit - reserved));
  if (connections === wanted) return { connections, notes: [] };
  const note =
    `NOTE: ${connections} connections instead of ${wanted}: the system allows ${limit} descriptors for each process. ` +
    'Raise the hard limit (`ulimit -Hn`, /etc/security/limits.conf) for more.';
  return { connections, notes: [note] };
}
