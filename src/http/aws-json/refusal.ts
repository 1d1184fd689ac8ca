/** Requests that never reach an operation: what the protocol around it refuses, in AWS' words where they are known. */

/** Returned, not thrown: strangers cause them, and a stack trace for each would be theirs to spend. */
export class Refusal {
  readonly status: number;
  /** As SDKs know it, e.g. `SerializationException`. How it is spelled out on the wire is the protocol's. */
  readonly name: string;
  readonly message: string | undefined;
  /** What it tells beside its message. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, name: string, message?: string, members: Readonly<Record<string, unknown>> = {}) {
    this.status = status;
    this.name = name;
    this.message = message;
    this.members = members;
  }
}

/** The body is none that a request could be. */
export const notSerial = (message?: string) => new Refusal(400, 'SerializationException', message);

/** @param name  of one that the service has and we do not; what nobody knows is answered without words, as on AWS */
export const unknownOperation = (name?: string) =>
  new Refusal(400, 'UnknownOperationException', name && `Mimamori does not support ${name}.`);

export const missingToken = () =>
  new Refusal(400, 'MissingAuthenticationTokenException', 'Request is missing Authentication Token');
export const incompleteSignature = (message: string) => new Refusal(400, 'IncompleteSignatureException', message);
export const invalidSignature = (message: string) => new Refusal(400, 'InvalidSignatureException', message);
export const unrecognizedClient = (message: string) => new Refusal(400, 'UnrecognizedClientException', message);

export const foreignPage = () =>
  new Refusal(
    403,
    'AccessDeniedException',
    'Pages of other hosts may use this endpoint only when it is started with credentials.',
  );

export const bodyTooLarge = (bytesMax: number) =>
  new Refusal(413, 'RequestEntityTooLargeException', `The request is over the limit of ${bytesMax} bytes.`);

export const tooBusy = () =>
  new Refusal(503, 'ServiceUnavailable', 'Too many requests are in flight. Try again with a growing delay.');
