export { type ListenKinesisOptions, listenKinesis } from './server.ts';
