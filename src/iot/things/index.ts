export { PolicyEngine, type PublishVerdict } from './policy.ts';
export { isThingName, ThingRegistry } from './registry.ts';
