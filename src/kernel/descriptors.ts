/** How many connections the process may hold, so that files can still be opened when all of them are used. */
export interface ConnectionShares {
  readonly mqtt: number;
  readonly http: number;
  /** The DynamoDB endpoint beside an app. */
  readonly table: number;
  /** The Kinesis endpoint beside an app. */
  readonly streams: number;
}

export const descriptorsReserved = 256; // ours: storage, listeners, modules, threads
const descriptorsAssumed = 1_024; // where the system does not say, the usual soft limit

/** Three quarters of what the soft limit leaves for devices, the rest for HTTP and a little of it for tools. */
export function connectionShares(softLimit: number): ConnectionShares {
  const available = Math.max(softLimit - descriptorsReserved, Math.floor(softLimit / 2));
  const [mqtt, http, table, streams] = [0.75, 0.15, 0.05, 0.05].map(share => Math.floor(available * share));
  return { mqtt, http, table, streams };
}

/** The soft limit of open files of this process. */
export function descriptorLimit(): number {
  // Otherwise it asks a name server for every open connection. Node's types lack the property (v22.13).
  Object.assign(process.report, { excludeNetwork: true });
  const report: unknown = process.report.getReport();
  const limits = report as { userLimits?: { open_files?: { soft?: number | string } } } | undefined; // Node documents it so.
  const soft = limits?.userLimits?.open_files?.soft;
  if (soft === 'unlimited') return Number.MAX_SAFE_INTEGER;
  return typeof soft === 'number' ? soft : descriptorsAssumed;
}
