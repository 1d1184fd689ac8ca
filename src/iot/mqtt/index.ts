export { awsLimits, type BrokerLimits, brokerLimits } from './broker-limits.ts';
export { Gateway, type GatewayOptions } from './gateway.ts';
export { type RecoveredJournal, recoverJournal } from './journal/index.ts';
export { lifecycleTopics } from './lifecycle.ts';
export { mqttLimits } from './limits.ts';
