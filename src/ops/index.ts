import { questionNotValid, tooManyFollowers } from './errors.ts';

export { logLimits } from './limits.ts';
export {
  type FoundLine,
  isLevel,
  type LevelRule,
  LogChannelReader,
  type LogChannelReaderOptions,
  type LoggedError,
  type LogLine,
  type LogQuestion,
  LogReader,
  type LogReaderOptions,
  LogStore,
  type LogStoreOptions,
  type Positions,
  questionParameters,
  readQuestion,
} from './logs/index.ts';

/** What those refuse with who let others ask. */
export const logProblems = { questionNotValid, tooManyFollowers } as const;
