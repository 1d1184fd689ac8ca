/** How many connections the process may hold, so that files can still be opened when all of them are used. */
export interface ConnectionShares {
  readonly mqtt: number;
  readonly http: number;
}

export const descriptorsReserved = 256; // ours: storage, listeners, modules, threads
const descriptorsAssumed = 1_024; // where the system does not say, the usual soft limit

/** Three quarters of what the soft limit leaves for devices, one for HTTP. */
export function connectionShares(softLimit: number): ConnectionShares {
  const available = Math.max(softLimit - descriptorsReserved, Math.floor(softLimit / 2));
  return { mqtt: Math.floor(available * 0.75), http: Math.floor(available * 0.25) };
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
