import { type ErrorDescription, MimamoriError } from '../../kernel/errors.ts';
import { mqttLimits } from '../mqtt/limits.ts';

/** A refusal in the words of HTTP. `awsType` is what AWS IoT calls it in `x-amzn-errortype`, for its SDKs. */
export class DataPlaneError extends MimamoriError {
  readonly status: number;
  readonly awsType: string;
  /** Headers that belong to this answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    awsType: string,
    description: ErrorDescription,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(description);
    this.status = status;
    this.awsType = awsType;
    this.headers = headers;
  }
}

const soon = { 'retry-after': '1' }; // seconds

export const targetNotValid = (problem: string) =>
  new DataPlaneError(400, 'InvalidRequestException', {
    code: 'iot.targetNotValid',
    message: `The path or query is not valid: ${problem}.`,
    fix: 'Percent-encode topic and values once, as UTF-8.',
  });

export const topicNotValid = () =>
  new DataPlaneError(400, 'InvalidRequestException', {
    code: 'iot.topicNotValid',
    message: `A topic has 1 to ${mqttLimits.topicBytesMax} bytes, at most ${mqttLimits.topicLevelsMax} levels, and no +, # or NUL.`,
    fix: 'Post to /topics/ and one exact topic, percent-encoded once; stricter limits may be in force.',
  });

export const parameterNotValid = (name: string, expected: string) =>
  new DataPlaneError(400, 'InvalidRequestException', {
    code: 'iot.parameterNotValid',
    message: `${name} is not valid: ${expected}.`,
    fix: 'Correct it or leave it out; everything but the topic has a default.',
  });

export const unauthorized = () =>
  new DataPlaneError(
    401,
    'UnauthorizedException',
    {
      code: 'iot.unauthorized',
      message: 'Nobody is let in with these credentials.',
      fix: "Send a thing's or user's name and password as HTTP Basic, or show a client certificate.",
    },
    { 'www-authenticate': 'Basic realm="mimamori", charset="UTF-8"' },
  );

export const forbidden = () =>
  new DataPlaneError(403, 'ForbiddenException', {
    code: 'iot.forbidden',
    message: 'The policy does not allow it.',
    fix: 'Use topics, filters and a client id of your own.',
  });

export const originNotAllowed = () =>
  new DataPlaneError(403, 'ForbiddenException', {
    code: 'iot.originNotAllowed',
    message: 'Pages of another site may not use this.',
    fix: 'Serve the page from the same host, or call from a program.',
  });

export const noSuchPath = () =>
  new DataPlaneError(404, 'ResourceNotFoundException', {
    code: 'iot.noSuchPath',
    message: 'Nothing is served at this path.',
    fix: 'POST /topics/{topic} publishes, GET /retainedMessage/{topic} reads, WebSocket is at /mqtt.',
  });

export const notRetained = () =>
  new DataPlaneError(404, 'ResourceNotFoundException', {
    code: 'iot.notRetained',
    message: 'There is no retained message of this topic.',
    fix: 'Check the topic; what has expired or was deleted is gone.',
  });

export const methodNotAllowed = (allow: string) =>
  new DataPlaneError(
    405,
    'MethodNotAllowedException',
    {
      code: 'iot.methodNotAllowed',
      message: 'This path has no such method.',
      fix: `Use ${allow}.`,
    },
    { allow },
  );

export const payloadTooLarge = (bytesMax: number) =>
  new DataPlaneError(413, 'RequestEntityTooLargeException', {
    code: 'iot.payloadTooLarge',
    message: `Payload, topic and properties are over the limit of ${bytesMax} bytes.`,
    fix: 'Send less, or store the payload as an object and send its key.',
  });

export const throttled = () =>
  new DataPlaneError(
    429,
    'ThrottlingException',
    {
      code: 'iot.throttled',
      message: 'More was published than the rates in force allow.',
      fix: 'Send it again a second later, and less often from then on.',
      retryable: true,
    },
    soon,
  );

export const overloaded = () =>
  new DataPlaneError(
    503,
    'ServiceUnavailableException',
    {
      code: 'iot.overloaded',
      message: 'More is under way than this server can take.',
      fix: 'Send it again later, with growing and random delays.',
      retryable: true,
    },
    soon,
  );

export const shuttingDown = () =>
  new DataPlaneError(
    503,
    'ServiceUnavailableException',
    {
      code: 'iot.shuttingDown',
      message: 'The server is about to stop.',
      fix: 'Send it again; if it was published twice, the second copy is a duplicate.',
      retryable: true,
    },
    soon,
  );

export const notStored = () =>
  new DataPlaneError(
    503,
    'ServiceUnavailableException',
    {
      code: 'iot.notStored',
      message: 'The message could not be made durable.',
      fix: 'Send it again; the log of the server says why.',
      retryable: true,
    },
    soon,
  );

/** Whoever is told nothing of storage by AWS' words still learns of it by the status. */
export const storageFull = () =>
  new DataPlaneError(507, 'ServiceUnavailableException', {
    code: 'iot.storageFull',
    message: 'There is no room to keep the message.',
    fix: 'Free disk space, or delete retained messages; it is taken again by itself.',
    retryable: true,
  });

export const failed = () =>
  new DataPlaneError(500, 'InternalFailureException', {
    code: 'iot.failed',
    message: 'Something went wrong on our side.',
    fix: 'Try again; if it stays, look for the traceId in the log of the server.',
  });
