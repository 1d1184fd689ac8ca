export { type StartOptions, startApp } from './start-app.ts';
export { type DeviceOptions, TestApp } from './test-app.ts';
