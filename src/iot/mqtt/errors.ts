import { MimamoriError } from '../../kernel/errors.ts';
import { mqttLimits } from './limits.ts';

/** What the app half may meet when it publishes. A device is answered in the words of MQTT instead. */

export const topicNotValid = () =>
  new MimamoriError({
    code: 'mqtt.topicNotValid',
    message: `A topic to publish to has 1 to ${mqttLimits.topicBytesMax} bytes, at most ${mqttLimits.topicLevelsMax} levels, and no + or #.`,
    fix: 'Publish to one exact topic; wildcards are for subscribing.',
  });

export const messageTooLarge = (payloadBytes: number) =>
  new MimamoriError({
    code: 'mqtt.messageTooLarge',
    message: `A payload of ${payloadBytes} bytes does not fit a packet of ${mqttLimits.packetBytesMax}.`,
    fix: 'Send less, or store the payload as an object and send its key.',
  });

export const messageExpiryNotValid = () =>
  new MimamoriError({
    code: 'mqtt.messageExpiryNotValid',
    message: 'The expiry of a message is a whole number of seconds from 1 to 4,294,967,295.',
    fix: 'Round it, or leave it out for a message that never expires.',
  });

export const noThings = () =>
  new MimamoriError({
    code: 'mqtt.noThings',
    message: 'This gateway is a general broker and has no registered things.',
    fix: 'Add users to its password file instead, or run an app with `mimamori start`.',
  });
