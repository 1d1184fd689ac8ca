/** What every request to an AWS JSON endpoint comes through first, whatever the service behind it. */
import type { Clock } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import { type RequestHead, readClaim } from './authorization.ts';
import { Exchange, type Incoming, type Outgoing, type Shared } from './exchange.ts';
import { endpointLimits } from './limits.ts';
import { isForeign, preflightHeaders } from './origins.ts';
import type { Call, Protocol } from './protocol.ts';
import { foreignPage, Refusal, tooBusy } from './refusal.ts';
import { type CheckedClaim, SignatureCheck } from './signature.ts';

export interface DoorOptions {
  readonly protocol: Protocol;
  readonly clock: Clock;
  readonly random: Random;
  /** What signatures must be for; undefined: any is good. */
  readonly region?: string;
  /** Secrets by access key id. Without them any signature is good, and only pages of this machine may call. */
  readonly credentials?: ReadonlyMap<string, string>;
}

export class Door {
  readonly #protocol: Protocol;
  readonly #signatures: SignatureCheck | undefined;
  readonly #idPrefix: string;
  readonly #shared: Shared;
  #requests = 0;
  #inFlight = 0;

  constructor({ protocol, clock, random, region, credentials }: DoorOptions) {
    this.#protocol = protocol;
    this.#signatures = credentials && new SignatureCheck({ credentials, clock, region, service: protocol.service });
    this.#shared = { protocol, clock, heldBytes: 0, isClosing: false };
    this.#idPrefix = Array.from({ length: idPrefixCharacters }, () => random.integer(36).toString(36))
      .join('')
      .toUpperCase();
  }

  /** A listener for the requests of an HTTP server. Never throws. */
  readonly receive = (request: Incoming, response: Outgoing): void => {
    const requestId = this.#protocol.requestIdOf(this.#idPrefix, this.#requests++);
    const exchange = new Exchange(request, response, { requestId, shared: this.#shared });
    const { method, headers } = exchange.head;
    const { origin } = headers;
    if (origin !== undefined && !this.#signatures && isForeign(origin)) return exchange.refuse(foreignPage());
    if (method === 'OPTIONS' && origin !== undefined) {
      return exchange.answer(200, '', undefined, preflightHeaders(headers));
    }
    if (this.#protocol.answersAlone(exchange)) return;
    if (this.#inFlight >= endpointLimits.requestsInFlightMax) return exchange.refuse(tooBusy());
    if (this.#shared.heldBytes > endpointLimits.heldBytesMax) return exchange.refuse(tooBusy());
    this.#take(exchange);
  };

  /** From now on each answer is the last on its connection. */
  close(): void {
    this.#shared.isClosing = true;
  }

  #take(exchange: Exchange): void {
    const claim = this.#checkClaim(exchange.head);
    if (claim instanceof Refusal) return exchange.refuse(claim);
    this.#inFlight++;
    exchange.readBody(body => {
      if (body === undefined) {
        this.#inFlight--;
        return;
      }
      const answered = this.#protocol.answer(exchange, this.#callOf(exchange.head, body, claim));
      answered.finally(() => this.#inFlight--);
    });
  }

  #callOf(head: RequestHead, body: Buffer, claim: CheckedClaim | undefined): Call {
    return {
      head,
      body,
      checkSignature: () => claim && this.#signatures?.checkSignature(head, body, claim),
      checkSignatureForm: () => {
        if (claim) return undefined;
        const unsigned = readClaim(head);
        return unsigned instanceof Refusal ? unsigned : undefined;
      },
    };
  }

  /** With credentials, everything about a signature that needs no body: nobody else makes us read one. */
  #checkClaim(head: RequestHead): CheckedClaim | Refusal | undefined {
    if (!this.#signatures) return undefined;
    const claim = readClaim(head);
    return claim instanceof Refusal ? claim : this.#signatures.checkClaim(claim);
  }
}

export const idPrefixCharacters = 40;
