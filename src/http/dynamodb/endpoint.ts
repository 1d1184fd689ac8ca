/** DynamoDB's protocol, AWS JSON 1.0 over HTTP: what comes in is judged step by step, and a table answers the rest. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { Random } from '../../kernel/random.ts';
import { type RequestHead, readClaim } from '../aws-json/authorization.ts';
import { inputOf, parseBody } from '../aws-json/body.ts';
import { Exchange, type Shared } from '../aws-json/exchange.ts';
import { endpointLimits } from '../aws-json/limits.ts';
import { isForeign, preflightHeaders } from '../aws-json/origins.ts';
import { foreignPage, notSerial, Refusal, tooBusy, unknownOperation } from '../aws-json/refusal.ts';
import type { Operation, Service } from '../aws-json/service.ts';
import { type CheckedClaim, SignatureCheck } from '../aws-json/signature.ts';
import { encodeOutput, refusalOf } from './answer.ts';
import { unsupportedOperation } from './unsupported.ts';

export interface EndpointOptions {
  readonly service: Service;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What signatures must be for; undefined: any is good. */
  readonly region?: string;
  /** Secrets by access key id. Without them any signature is good, and only pages of this machine may call. */
  readonly credentials?: ReadonlyMap<string, string>;
}

const regionDefault = 'us-east-1'; // DynamoDB Local's documentation has it, and most SDKs without a region

const jsonTypes: ReadonlySet<string> = new Set(['application/json', 'application/x-amz-json-1.0']);

export class Endpoint {
  readonly #service: Service;
  readonly #log: Log;
  readonly #region: string;
  readonly #signatures: SignatureCheck | undefined;
  readonly #idPrefix: string;
  readonly #shared: Shared = { heldBytes: 0, isClosing: false };
  #requests = 0;
  #inFlight = 0;

  constructor({ service, clock, random, log, region, credentials }: EndpointOptions) {
    this.#service = service;
    this.#log = log;
    this.#region = region ?? regionDefault;
    this.#signatures = credentials && new SignatureCheck({ credentials, clock, region });
    this.#idPrefix = Array.from({ length: idPrefixCharacters }, () => random.integer(36).toString(36))
      .join('')
      .toUpperCase();
  }

  /** A listener for the requests of an HTTP server. Never throws. */
  readonly receive = (request: IncomingMessage, response: ServerResponse): void => {
    const exchange = new Exchange(request, response, { requestId: this.#nextId(), shared: this.#shared });
    const { origin } = request.headers;
    if (origin !== undefined && !this.#signatures && isForeign(origin)) return exchange.refuse(foreignPage());
    const { method, url = '/' } = request;
    if (method === 'GET' && (url === '/' || url === '/ping')) return this.#sayHealthy(exchange);
    if (method === 'OPTIONS' && origin !== undefined) {
      return exchange.answer(200, '', undefined, preflightHeaders(request.headers));
    }
    if (method !== 'POST' || !(url === '/' || url.startsWith('/?'))) return notThere(exchange);
    if (this.#inFlight >= endpointLimits.requestsInFlightMax) return exchange.refuse(tooBusy());
    if (this.#shared.heldBytes > endpointLimits.heldBytesMax) return exchange.refuse(tooBusy());
    this.#post(exchange);
  };

  /** From now on each answer is the last on its connection. */
  close(): void {
    this.#shared.isClosing = true;
  }

  #post(exchange: Exchange): void {
    const head = headOf(exchange.request);
    const claim = this.#checkClaim(head);
    if (claim instanceof Refusal) return exchange.refuse(claim);
    this.#inFlight++;
    exchange.readBody(body => {
      if (body === undefined) {
        this.#inFlight--;
        return;
      }
      const answered = this.#answer(exchange, head, body, claim);
      answered.finally(() => this.#inFlight--);
    });
  }

  /** Never rejects. */
  async #answer(exchange: Exchange, head: RequestHead, body: Buffer, claim: CheckedClaim | undefined): Promise<void> {
    const contentType = mediaTypeOf(head.headers['content-type']);
    if (body.length > 0 && !jsonTypes.has(contentType)) return notThere(exchange);
    const answerType = contentType === 'application/x-amz-json-1.0' ? contentType : 'application/json';
    const judged = this.#judge(head, body, claim);
    if (judged instanceof Refusal) return exchange.refuse(judged, answerType);
    const { operation, input } = judged;
    try {
      const output = await operation.call(input);
      exchange.answer(200, encodeOutput(operation.name, output), answerType);
    } catch (error) {
      exchange.refuse(refusalOf(error, { log: this.#log, requestId: exchange.requestId }), answerType);
    }
  }

  /**
   * In DynamoDB's order: JSON, operation, signature, what the JSON is. With credentials the signature comes first of all, so
   * that nobody else makes us parse anything.
   */
  #judge(
    head: RequestHead,
    body: Buffer,
    claim: CheckedClaim | undefined,
  ): { operation: Operation; input: Record<string, unknown> } | Refusal {
    const wrong = claim && this.#signatures?.checkSignature(head, body, claim);
    if (wrong) return wrong;
    const json = body.length > 0 ? parseBody(body) : undefined;
    if (json instanceof Refusal) return json;
    const target = String(head.headers['x-amz-target']);
    const operation = this.#service.operations.get(target);
    if (operation === undefined) return unknownOperation(unsupportedOperation(target));
    if (!claim) {
      const unsigned = readClaim(head);
      if (unsigned instanceof Refusal) return unsigned;
    }
    const input = json === undefined ? notSerial() : inputOf(json.parsed);
    return input instanceof Refusal ? input : { operation, input };
  }

  #checkClaim(head: RequestHead): CheckedClaim | Refusal | undefined {
    if (!this.#signatures) return undefined;
    const claim = readClaim(head);
    return claim instanceof Refusal ? claim : this.#signatures.checkClaim(claim);
  }

  #sayHealthy(exchange: Exchange): void {
    exchange.answer(200, `healthy: dynamodb.${this.#region}.amazonaws.com `, undefined); // The space is DynamoDB's.
  }

  /** 52 characters as DynamoDB's; one prefix for each process, then a number. */
  #nextId(): string {
    const number = (this.#requests++).toString(36).toUpperCase();
    return this.#idPrefix + number.padStart(52 - idPrefixCharacters, '0');
  }
}

const idPrefixCharacters = 40;

function notThere(exchange: Exchange): void {
  exchange.answer(404, '<UnknownOperationException/>\n', undefined);
}

function headOf({ method = '', url = '/', headers, rawHeaders }: IncomingMessage): RequestHead {
  return { method, url, headers, rawHeaders };
}

function mediaTypeOf(contentType: string | undefined): string {
  if (contentType === undefined) return '';
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}
