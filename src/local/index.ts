export { readAddress } from './address-file.ts';
export { findAppModule, findSimulation, loadApp } from './app-module.ts';
export { moduleBeside } from './app-supervisor.ts';
export { type Backend, type BackendOptions, startBackend } from './backend.ts';
export { type DataLock, lockDataDirectory } from './data-lock.ts';
export { logsDirectory } from './directories.ts';
export { withStoppedTable } from './stopped-table.ts';
export { type Checked, type CheckOptions, checkStopped } from './table-check.ts';
export {
  type EndpointPlace,
  endpointPlace,
  type OpenPlace,
  withStoppedData,
  withWritableData,
} from './table-transfer.ts';
