import { MimamoriError } from '../kernel/errors.ts';

export const refused = (what: string, reasonCode: number) =>
  new MimamoriError({
    code: 'device.refused',
    message: `The server refused ${what} with reason 0x${reasonCode.toString(16).padStart(2, '0')}.`,
    fix: 'Check the credentials, and that the topic is one of this device.',
  });

export const disconnected = (clientId: string, cause?: unknown) =>
  new MimamoriError({
    code: 'device.disconnected',
    message: `The connection of ${clientId} has ended.`,
    fix: 'Connect again; what was not acknowledged must be sent again.',
    retryable: true,
    cause,
  });

export const busy = (waitingMax: number) =>
  new MimamoriError({
    code: 'device.busy',
    message: `More than ${waitingMax} publishes and subscribes wait for an answer.`,
    fix: 'Await some of them before the next one.',
    retryable: true,
  });

export const packetTooLarge = (bytes: number, bytesMax: number) =>
  new MimamoriError({
    code: 'device.packetTooLarge',
    message: `A publish of ${bytes} bytes is over the ${bytesMax} that the server takes.`,
    fix: 'Send less per message, or store the payload as an object and send its key.',
  });
