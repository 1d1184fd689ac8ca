import type { Iot } from '../iot/port.ts';
import { currentCaller } from '../kernel/callers.ts';
import { currentCause } from '../kernel/causes.ts';

/** The Iot port as an app has it: what a function publishes says what led to it. */
export function causedIot(iot: Iot): Iot {
  return {
    publish: message => {
      currentCaller()?.calls?.noteEffect('publish', message.topic);
      return iot.publish({ ...message, cause: currentCause() });
    },
    createThing: thingName => iot.createThing(thingName),
    deleteThing: thingName => iot.deleteThing(thingName),
    listConnections: thingNames => iot.listConnections(thingNames),
    counters: () => iot.counters(),
  };
}
