export { capacityPath, capacityRoutes } from './capacity.ts';
export {
  deadLetterRoutes,
  deadLettersPath,
  redrivesPath,
  type ShownLetter,
  type ShownPayload,
} from './dead-letters.ts';
export { addOperatorRoutes, type OperatorOptions, type OperatorRoute, OperatorTokens } from './operator.ts';
