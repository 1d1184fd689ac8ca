/** One request and its answer on a connection of Node: reads the body within bounds, writes what every answer has. */
import type { IncomingHttpHeaders } from 'node:http';
import { constants } from 'node:http2';
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { Clock } from '../../kernel/clock.ts';
import type { RequestHead } from './authorization.ts';
import { endpointLimits } from './limits.ts';
import type { Protocol } from './protocol.ts';
import { bodyTooLarge, type Refusal, tooBusy } from './refusal.ts';

/** What Node's requests of HTTP/1.1 and HTTP/2 have in common. */
export interface Incoming extends Readable {
  readonly method?: string;
  readonly url?: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: string[];
  /** All of the body has arrived. */
  readonly complete: boolean;
  /** Of HTTP/2 only. */
  readonly stream?: { readonly closed: boolean; close(code?: number): void };
}

/** What Node's responses of HTTP/1.1 and HTTP/2 have in common. */
export interface Outgoing {
  writeHead(status: number, headers: string[]): unknown;
  /** Of HTTP/1.1 only. */
  flushHeaders?(): void;
  write(body: string | Buffer): boolean;
  end(body: string | Buffer): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** What the exchanges of an endpoint have in common. */
export interface Shared {
  readonly protocol: Protocol;
  readonly clock: Clock;
  /** Bytes they keep in memory together. */
  heldBytes: number;
  /** Each answer is the last on its connection. */
  isClosing: boolean;
}

export class Exchange {
  readonly head: RequestHead;
  readonly requestId: string;
  readonly #request: Incoming;
  readonly #response: Outgoing;
  readonly #shared: Shared;
  #heldBytes = 0;
  #isAnswered = false;

  constructor(request: Incoming, response: Outgoing, { requestId, shared }: { requestId: string; shared: Shared }) {
    const { method = '', url = '/', headers, rawHeaders } = request;
    this.head = { method, url, headers, rawHeaders };
    this.requestId = requestId;
    this.#request = request;
    this.#response = response;
    this.#shared = shared;
  }

  /** Calls back exactly once: with the body, or with undefined when there is none to answer any more. */
  readBody(done: (body: Buffer | undefined) => void): void {
    const request = this.#request;
    if (Number(request.headers['content-length'] ?? 0) > endpointLimits.bodyBytesMax) {
      this.refuse(bodyTooLarge(endpointLimits.bodyBytesMax));
      return done(undefined);
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isDone = false;
    const finish = (body: Buffer | undefined) => {
      if (isDone) return;
      isDone = true;
      done(body);
    };
    this.#limitRequestTime();
    request.on('data', (chunk: Buffer) => {
      if (this.#isAnswered) return;
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes <= endpointLimits.smallBytes) return;
      this.#hold(bytes - this.#heldBytes);
      const isFull = this.#shared.heldBytes > endpointLimits.heldBytesMax;
      if (bytes <= endpointLimits.bodyBytesMax && !isFull) return;
      chunks.length = 0;
      this.refuse(isFull ? tooBusy() : bodyTooLarge(endpointLimits.bodyBytesMax));
      finish(undefined);
    });
    request.on('end', () => {
      const isCancelled = request.stream?.closed === true; // Over HTTP/2, Node ends the body all the same.
      finish(isCancelled ? undefined : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, bytes));
    });
    request.on('close', () => finish(undefined)); // Whoever asked has gone.
  }

  refuse(refusal: Refusal): void {
    const { body, contentType } = this.#shared.protocol.encodeRefusal(refusal, this.head);
    this.answer(refusal.status, body, contentType);
  }

  /** The second answer to one request is none. */
  answer(status: number, body: string | Buffer, contentType: string | undefined, extra: readonly string[] = []): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    const bytes = Buffer.byteLength(body);
    if (bytes > endpointLimits.smallBytes) {
      this.#hold(bytes);
      this.#limitAnswerTime();
    }
    const headers = ['x-amzn-RequestId', this.requestId];
    if (bytes > 0 && this.#shared.protocol.hasChecksums) headers.push('x-amz-crc32', String(crc32(body)));
    if (contentType !== undefined) headers.push('Content-Type', contentType);
    if (status !== 413) headers.push('Content-Length', String(bytes)); // that answer DynamoDB sends in chunks
    headers.push(...extra);
    if (this.head.headers.origin !== undefined && status !== 403) headers.push('Access-Control-Allow-Origin', '*');
    const { stream } = this.#request;
    if (this.#shared.isClosing && !stream) headers.push('Connection', 'close');
    this.#response.writeHead(status, headers);
    if (this.#request.complete || stream) {
      this.#response.end(body);
      if (!this.#request.complete) stream?.close(constants.NGHTTP2_NO_ERROR); // once the answer is out [RFC 9113 8.1]
      return;
    }
    if (bytes === 0) this.#response.flushHeaders?.();
    else this.#response.write(body);
    this.#discardRest();
  }

  /** Who is still sending must be let finish, or may see a broken connection instead of the answer; up to a bound. */
  #discardRest(): void {
    let bytes = 0;
    this.#request.on('end', () => this.#response.end(''));
    this.#request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > endpointLimits.refusedBodyBytesMax) this.#end();
    });
  }

  /** HTTP/1.1 has a time limit for requests from Node. */
  #limitRequestTime(): void {
    const { stream } = this.#request;
    if (!stream) return;
    const timer = this.#shared.clock.setTimer(endpointLimits.requestTimeoutMs, () => this.#end());
    this.#request.once('end', () => timer.cancel());
    this.#request.once('close', () => timer.cancel());
  }

  /** What nobody takes may not keep its memory for ever. */
  #limitAnswerTime(): void {
    const timer = this.#shared.clock.setTimer(endpointLimits.answerTimeoutMs, () => this.#end());
    this.#response.once('close', () => timer.cancel());
  }

  /** Without another word. */
  #end(): void {
    const { stream } = this.#request;
    if (stream) stream.close(constants.NGHTTP2_CANCEL);
    else this.#request.destroy();
  }

  #hold(bytes: number): void {
    if (this.#heldBytes === 0) {
      this.#response.once('close', () => {
        this.#shared.heldBytes -= this.#heldBytes;
      });
    }
    this.#heldBytes += bytes;
    this.#shared.heldBytes += bytes;
  }
}
