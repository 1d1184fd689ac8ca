/** Kinesis' protocol, AWS JSON 1.1 or CBOR over HTTP: what comes in is judged step by step, and a catalog answers the rest. */
import type { RequestHead } from '../aws-json/authorization.ts';
import type { Exchange } from '../aws-json/exchange.ts';
import { mediaTypeOf } from '../aws-json/media-type.ts';
import type { Call, Protocol, WireBody } from '../aws-json/protocol.ts';
import { notSerial, Refusal } from '../aws-json/refusal.ts';
import type { Context } from './context.ts';
import type { OperationName } from './requests.ts';
import { callOperation, operationNamed } from './service.ts';
import { unsupportedOperation } from './unsupported.ts';
import { cborType, decodeBody, encodeBody, jsonType } from './wire.ts';

export class KinesisProtocol implements Protocol {
  readonly service = 'kinesis';
  readonly hasChecksums = false;
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** In the form of Kinesis': the letters of a UUID. */
  requestIdOf(prefix: string, number: number): string {
    const hex = Array.from(prefix.slice(0, 20), character => (Number.parseInt(character, 36) & 15).toString(16)).join(
      '',
    );
    const last = number.toString(16).padStart(12, '0');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${last}`;
  }

  answersAlone(exchange: Exchange): boolean {
    const { method, url } = exchange.head;
    if (method === 'POST' && (url === '/' || url.startsWith('/?'))) return false;
    accessDenied(exchange);
    return true;
  }

  async answer(exchange: Exchange, call: Call): Promise<void> {
    const { head } = call;
    const contentType = mediaTypeOf(head);
    const isKnown = contentType === jsonType || contentType === cborType;
    if (call.body.length > 0 && !isKnown) return notTaken(exchange, head, contentType);
    const judged = this.#judge(call, contentType);
    if (judged instanceof Refusal) return exchange.refuse(judged);
    const answered = await callOperation(this.#context, judged.operation, judged.parsed, {
      requestId: exchange.requestId,
      encode: output => encodeBody(output, head),
    });
    if (answered instanceof Refusal) exchange.refuse(answered);
    else exchange.answer(200, answered.body, answered.contentType);
  }

  encodeRefusal({ name, message, members }: Refusal, head: RequestHead): WireBody {
    const spelling = name === 'SerializationException' ? 'Message' : 'message';
    return encodeBody({ __type: name, ...members, ...(message !== undefined && { [spelling]: message }) }, head);
  }

  /**
   * In Kinesis' order: the body, operation, signature. With credentials the signature comes first of all, so that nobody else
   * makes us parse anything.
   */
  #judge(call: Call, contentType: string): { operation: OperationName; parsed: unknown } | Refusal {
    const { head, body } = call;
    const wrong = call.checkSignature();
    if (wrong) return wrong;
    const target = String(head.headers['x-amz-target']);
    const operation = target.startsWith(api) ? operationNamed(target.slice(api.length)) : undefined;
    if (body.length === 0) return operation === undefined ? unknown(target) : notSerial();
    const decoded = decodeBody(body, contentType);
    if (decoded instanceof Refusal) return decoded;
    if (typeof decoded.parsed !== 'object' || decoded.parsed === null) return notSerial();
    if (operation === undefined) return unknown(target);
    const unsigned = call.checkSignatureForm();
    if (unsigned) return inKinesisWords(unsigned);
    return { operation, parsed: decoded.parsed };
  }
}

const api = 'Kinesis_20131202.';

/** An operation that Kinesis has and we do not is said by name; what nobody knows is answered without words, as on AWS. */
function unknown(target: string): Refusal {
  const known = unsupportedOperation(target);
  const message = known && `Mimamori does not support ${known.name}. ${known.instead}`;
  return new Refusal(400, 'UnknownOperationException', message);
}

function inKinesisWords(refusal: Refusal): Refusal {
  const isMissing = refusal.name === 'MissingAuthenticationTokenException';
  return isMissing ? new Refusal(400, refusal.name, 'Missing Authentication Token') : refusal;
}

/** A body of a type that is none of Kinesis'. */
function notTaken(exchange: Exchange, head: RequestHead, contentType: string): void {
  const [service, operation] = String(head.headers['x-amz-target'] ?? '').split('.');
  if (contentType === 'application/json') {
    const output = { Output: { __type: 'com.amazon.coral.service#UnknownOperationException' }, Version: '1.0' };
    return exchange.answer(404, JSON.stringify(output), contentType);
  }
  if (!service || !operation) return accessDenied(exchange);
  exchange.answer(404, '<UnknownOperationException/>\n', undefined);
}

function accessDenied(exchange: Exchange): void {
  const message = 'Unable to determine service/operation name to be authorized';
  exchange.answer(
    403,
    `<AccessDeniedException>\n  <Message>${message}</Message>\n</AccessDeniedException>\n`,
    undefined,
  );
}
