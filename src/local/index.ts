export { findAppModule, findSimulation, loadApp } from './app-module.ts';
export { moduleBeside } from './app-supervisor.ts';
export { type Backend, startBackend } from './backend.ts';
export { type DataLock, lockDataDirectory } from './data-lock.ts';
