/** Requests that never reach the table: what the protocol around it refuses, in DynamoDB's words where they are known. */

/** Where an error's type lives; SDKs look at what follows the `#`, other clients compare all of it. */
export const namespaces = {
  service: 'com.amazon.coral.service#',
  validation: 'com.amazon.coral.validate#',
  availability: 'com.amazon.coral.availability#',
  table: 'com.amazonaws.dynamodb.v20120810#',
} as const;

/** Returned, not thrown: strangers cause them, and a stack trace for each would be theirs to spend. */
export class Refusal {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;

  constructor(status: number, body: Readonly<Record<string, unknown>>) {
    this.status = status;
    this.body = body;
  }
}

const service = (name: string, message?: string) =>
  new Refusal(400, { __type: `${namespaces.service}${name}`, ...(message !== undefined && { message }) });

/** The body is no JSON, or none that a request could be. DynamoDB spells `Message` large here. */
export const notSerial = (message?: string) =>
  new Refusal(400, {
    __type: `${namespaces.service}SerializationException`,
    ...(message !== undefined && { Message: message }),
  });

/** @param name  of one that DynamoDB has and we do not */
export const unknownOperation = (name?: string) =>
  service('UnknownOperationException', name && `Mimamori does not support ${name}.`);
export const missingToken = () =>
  service('MissingAuthenticationTokenException', 'Request is missing Authentication Token');
export const incompleteSignature = (message: string) => service('IncompleteSignatureException', message);
export const invalidSignature = (message: string) => service('InvalidSignatureException', message);
export const unrecognizedClient = (message: string) => service('UnrecognizedClientException', message);

export const foreignPage = () =>
  new Refusal(403, {
    __type: `${namespaces.service}AccessDeniedException`,
    Message: 'Pages of other hosts may use this endpoint only when it is started with credentials.',
  });

export const bodyTooLarge = (bytesMax: number) =>
  new Refusal(413, {
    __type: `${namespaces.service}RequestEntityTooLargeException`,
    message: `The request is over the limit of ${bytesMax} bytes.`,
  });

export const tooBusy = () =>
  new Refusal(503, {
    __type: `${namespaces.table}ServiceUnavailable`,
    message: 'Too many requests are in flight. Try again with a growing delay.',
  });

/** Tells nothing: what went wrong on our side is in the log, under the request's id. */
export const internalError = () =>
  new Refusal(500, { __type: `${namespaces.table}InternalServerError`, message: 'Internal server error' });
