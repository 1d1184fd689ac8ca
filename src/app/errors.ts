import { type ErrorDescription, MimamoriError } from '../kernel/errors.ts';

export const appNotValid = (message: string, fix: string) => new MimamoriError({ code: 'app.notValid', message, fix });

export const telemetryNotValid = (topic: string, problems: string) =>
  new MimamoriError({
    code: 'telemetry.notValid',
    message: `A message on ${topic} does not fit its schema: ${problems}.`,
    fix: 'Correct the device or the schema; the message is kept as a dead letter.',
  });

export const recordNotValid = (stream: string, problems: string) =>
  new MimamoriError({
    code: 'stream.recordNotValid',
    message: `A record of the stream ${stream} does not fit its schema: ${problems}.`,
    fix: 'Correct the producer or the schema; the record is kept as a dead letter.',
  });

export const consumerNotFound = (name: string) =>
  new ApiError(404, {
    code: 'consumer.notFound',
    message: `No function called ${name.slice(0, 200)} reads a stream.`,
    fix: 'See `mimamori consumers` for those that do; renaming a function starts another.',
  });

export const consumerBeginsAgain = (name: string) =>
  new ApiError(409, {
    code: 'consumer.beginsAgain',
    message: `${name} is about to begin again already.`,
    fix: 'Wait until it does: `mimamori consumers` shows how far it is.',
  });

export const consumerNotReplayable = (name: string, isOwn: boolean) =>
  new ApiError(400, {
    code: 'consumer.notReplayable',
    message: isOwn
      ? `${name} belongs to the platform: what it has handled, it would handle twice.`
      : `${name} is fed by changes of the table, which are found by their order only.`,
    fix: isOwn ? 'Replay functions of the app.' : 'Replay it from `oldest`, or go on from `newest`.',
  });

export const commandNotKnown = (sessionId: string, thingName: string) =>
  new MimamoriError({
    code: 'command.notKnown',
    message: `${thingName} answered session ${sessionId}, which is no command of its own.`,
    fix: 'Answer with the sessionId of the request, on the same thing; the answer is kept as a dead letter.',
  });

/** A refusal with the HTTP status that tells it. */
export class ApiError extends MimamoriError {
  readonly status: number;

  constructor(status: number, description: ErrorDescription) {
    super(description);
    this.status = status;
  }
}

/** The same for what is not there and for what is somebody else's. */
export const notFound = (what: string) =>
  new ApiError(404, {
    code: 'api.notFound',
    message: `There is no such ${what}.`,
    fix: 'Check the id; a list shows what you have.',
  });
