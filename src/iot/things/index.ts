export { PolicyEngine, type PublishVerdict } from './policy.ts';
export { isThingName, ThingRegistry, thingOfClient } from './registry.ts';
