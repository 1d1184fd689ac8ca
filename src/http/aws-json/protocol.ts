/** What tells the protocol of one AWS JSON service from that of another. */
import type { RequestHead } from './authorization.ts';
import type { Exchange } from './exchange.ts';
import type { Refusal } from './refusal.ts';

/** A request whose body is there. */
export interface Call {
  readonly head: RequestHead;
  readonly body: Buffer;
  /** With credentials: whether it is signed with one of them. */
  checkSignature(): Refusal | undefined;
  /** Without credentials: whether there is a whole signature, whoever made it. */
  checkSignatureForm(): Refusal | undefined;
}

export interface WireBody {
  readonly body: string | Buffer;
  readonly contentType: string | undefined;
}

export interface Protocol {
  /** As signatures are scoped, e.g. `dynamodb`. */
  readonly service: string;
  /** Whether answers carry `x-amz-crc32`. */
  readonly hasChecksums: boolean;
  /** @param prefix  40 characters 0-9 and A-Z, others in each process */
  requestIdOf(prefix: string, number: number): string;
  /** Answers what is no call: another method or path, a health check. Returns whether it did. */
  answersAlone(exchange: Exchange): boolean;
  /** Judges a call step by step, carries it out and answers it. Never rejects. */
  answer(exchange: Exchange, call: Call): Promise<void>;
  /** How a refusal of a request with this head is written. */
  encodeRefusal(refusal: Refusal, head: RequestHead): WireBody;
}
