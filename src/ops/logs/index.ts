export { LogChannelReader, type LogChannelReaderOptions } from './channel-reader.ts';
export type { LevelRule } from './level-rules.ts';
export type { LoggedError, LogLine } from './line.ts';
export { LogReader, type LogReaderOptions, type Positions } from './log-reader.ts';
export { LogStore, type LogStoreOptions } from './log-store.ts';
export { type FoundLine, isLevel, type LogQuestion, questionParameters, readQuestion } from './question.ts';
