export { DataPlane, type IncomingCall, makeDataPlane } from './data-plane.ts';
export { dataPlaneLimits } from './limits.ts';
