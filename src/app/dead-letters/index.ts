export { DeadLetters, type DeadLettersOptions } from './dead-letters.ts';
export { letterHandlerMissing, letterNotTaken } from './errors.ts';
export {
  changeLetter,
  type FailedRecord,
  invocationLetter,
  messageLetter,
  recordEventId,
  resultLetter,
} from './from-events.ts';
export { letterId } from './letter-id.ts';
export { deadLetterLimits, redriveLimits } from './limits.ts';
export { payloadText } from './matching.ts';
export type {
  DeadLetter,
  Failure,
  LetterCount,
  LetterFilter,
  LetterKind,
  LetterPage,
  LetterSummary,
  NewLetter,
  RedrivenEvent,
  RunOne,
} from './port.ts';
export type { RedriveRequest, RedriveState } from './redrives.ts';
