/** DynamoDB's protocol, AWS JSON 1.0 over HTTP: what comes in is judged step by step, and a table answers the rest. */
import type { Log } from '../../kernel/log.ts';
import type { RequestHead } from '../aws-json/authorization.ts';
import { inputOf, parseBody } from '../aws-json/body.ts';
import { idPrefixCharacters } from '../aws-json/door.ts';
import type { Exchange } from '../aws-json/exchange.ts';
import { mediaTypeOf } from '../aws-json/media-type.ts';
import type { Call, Protocol, WireBody } from '../aws-json/protocol.ts';
import { notSerial, Refusal, unknownOperation } from '../aws-json/refusal.ts';
import { encodeOutput, encodeRefusal, refusalOf } from './answer.ts';
import { dynamoDbLimits } from './limits.ts';
import type { Operation, Service } from './service.ts';
import { unsupportedOperation } from './unsupported.ts';

export interface DynamoDbOptions {
  readonly service: Service;
  readonly log: Log;
  /** What signatures must be for; undefined: any is good. */
  readonly region?: string;
}

const regionDefault = 'us-east-1'; // DynamoDB Local's documentation has it, and most SDKs without a region

const jsonTypes: ReadonlySet<string> = new Set(['application/json', 'application/x-amz-json-1.0']);

export class DynamoDbProtocol implements Protocol {
  readonly service = 'dynamodb';
  readonly hasChecksums = true;
  readonly #service: Service;
  readonly #log: Log;
  readonly #region: string;

  constructor({ service, log, region }: DynamoDbOptions) {
    this.#service = service;
    this.#log = log;
    this.#region = region ?? regionDefault;
  }

  /** 52 characters as DynamoDB's. */
  requestIdOf(prefix: string, number: number): string {
    return (
      prefix +
      number
        .toString(36)
        .toUpperCase()
        .padStart(52 - idPrefixCharacters, '0')
    );
  }

  answersAlone(exchange: Exchange): boolean {
    const { method, url } = exchange.head;
    if (method === 'GET' && (url === '/' || url === '/ping')) {
      exchange.answer(200, `healthy: dynamodb.${this.#region}.amazonaws.com `, undefined); // The space is DynamoDB's.
      return true;
    }
    if (method === 'POST' && (url === '/' || url.startsWith('/?'))) return false;
    notThere(exchange);
    return true;
  }

  async answer(exchange: Exchange, call: Call): Promise<void> {
    if (call.body.length > 0 && !jsonTypes.has(mediaTypeOf(call.head))) return notThere(exchange);
    const judged = this.#judge(call);
    if (judged instanceof Refusal) return exchange.refuse(judged);
    const { operation, input } = judged;
    try {
      const output = await operation.call(input);
      exchange.answer(200, encodeOutput(operation.name, output), answerTypeOf(call.head));
    } catch (error) {
      exchange.refuse(refusalOf(error, { log: this.#log, requestId: exchange.requestId }));
    }
  }

  encodeRefusal(refusal: Refusal, head: RequestHead): WireBody {
    return { body: encodeRefusal(refusal), contentType: answerTypeOf(head) };
  }

  /**
   * In DynamoDB's order: JSON, operation, signature, what the JSON is. With credentials the signature comes first of all, so
   * that nobody else makes us parse anything.
   */
  #judge(call: Call): { operation: Operation; input: Record<string, unknown> } | Refusal {
    const { head, body } = call;
    const wrong = call.checkSignature();
    if (wrong) return wrong;
    const json = body.length > 0 ? parseBody(body, dynamoDbLimits.jsonDepthMax) : undefined;
    if (json instanceof Refusal) return json;
    const target = String(head.headers['x-amz-target']);
    const operation = this.#service.operations.get(target);
    if (operation === undefined) return unknownOperation(unsupportedOperation(target));
    const unsigned = call.checkSignatureForm();
    if (unsigned) return unsigned;
    const input = json === undefined ? notSerial() : inputOf(json.parsed);
    return input instanceof Refusal ? input : { operation, input };
  }
}

function notThere(exchange: Exchange): void {
  exchange.answer(404, '<UnknownOperationException/>\n', undefined);
}

function answerTypeOf(head: RequestHead): string {
  const sent = mediaTypeOf(head);
  return sent === 'application/x-amz-json-1.0' ? sent : 'application/json';
}
