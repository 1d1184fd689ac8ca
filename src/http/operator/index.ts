export { capacityPath, capacityRoutes } from './capacity.ts';
export { addOperatorRoutes, type OperatorOptions, type OperatorRoute, OperatorTokens } from './operator.ts';
