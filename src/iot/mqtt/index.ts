export { Gateway, type GatewayOptions, lifecycleTopics } from './gateway.ts';
export { mqttLimits } from './limits.ts';
