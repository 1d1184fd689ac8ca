/** A gateway in memory and requests to it without a port. For tests only. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import type { Peer } from '../../kernel/sockets.ts';
import { GatewayWorld, type GatewayWorldOptions, publishPacket } from '../mqtt/gateway-world.ts';
import { DataPlane, type IncomingCall } from './data-plane.ts';

export interface CallOptions {
  /** Whose name and password go along; registered with the first call. Default: nobody's. */
  readonly as?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: `{}`. */
  readonly body?: string | Uint8Array | Readable;
  readonly peer?: Partial<Peer>;
  readonly gone?: AbortSignal;
}

export interface Said {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
  readonly body: any;
}

export class HttpWorld {
  readonly gateway: GatewayWorld;
  #plane: DataPlane | undefined;

  private constructor(gateway: GatewayWorld) {
    this.gateway = gateway;
  }

  static async start(options: GatewayWorldOptions = {}): Promise<HttpWorld> {
    return new HttpWorld(await GatewayWorld.start(options));
  }

  get plane(): DataPlane {
    this.#plane ??= new DataPlane(this.gateway.gateway);
    return this.#plane;
  }

  async powerCut(): Promise<void> {
    await this.gateway.powerCut();
    this.#plane = undefined;
  }

  /** Sends one request; time is for the test to move. */
  async begin(url: string, options: CallOptions = {}): Promise<{ answer: Promise<Said | undefined> }> {
    const { as, body = '{}', gone } = options;
    const authorization = as === undefined ? {} : { authorization: await this.basic(as) };
    const payload = typeof body === 'string' || body instanceof Uint8Array ? Readable.from([Buffer.from(body)]) : body;
    const headers = { host: 'gateway:8083', ...authorization, ...options.headers };
    const call: IncomingCall = Object.assign(payload, { method: options.method ?? 'POST', url, headers });
    const peer = { remoteAddress: '192.0.2.1', ...options.peer };
    const answer = this.plane
      .answer(call, peer, gone)
      .then(said => said && { ...said, body: JSON.parse(JSON.stringify(said.body)) });
    return { answer };
  }

  /** Sends one request and moves time as far as its answer needs. */
  async call(url: string, options: CallOptions = {}): Promise<Said> {
    const { answer } = await this.begin(url, options);
    const said = await this.gateway.clock.until(answer);
    assert(said, 'the client has left');
    return said;
  }

  /** The status, and the code of a refusal. */
  async statusOf(url: string, options: CallOptions = {}): Promise<string> {
    const { status, body } = await this.call(url, options);
    return body.code === undefined ? String(status) : `${status} ${body.code}`;
  }

  /** What the answer carries, payloads as text. Fails for a refusal. */
  async pending(url: string, options: CallOptions = {}): Promise<Carried[]> {
    const { status, body } = await this.call(url, options);
    assert.equal(status, 200, JSON.stringify(body));
    return body.pending.map(({ id, payload, duplicate }: Carried & { payload: string }) => {
      return { id, text: Buffer.from(payload, 'base64').toString(), duplicate };
    });
  }

  async basic(thingName: string): Promise<string> {
    const { username, password } = await this.gateway.thing(thingName);
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  /** Publishes as the app does. */
  async publish(topic: string, text: string, messageExpirySeconds?: number): Promise<number> {
    const message = { topic, payload: Buffer.from(text), qos: 1, messageExpirySeconds } as const;
    return (await this.gateway.gateway.publish(message)).subscribers;
  }

  /** What MQTT answers a client that publishes there: its reason code, or 'closed'. */
  async mqttAnswer(clientId: string, topic: string, options: { password?: string } = {}): Promise<number | 'closed'> {
    const { gateway } = this;
    const connect = await gateway.connectPacket(clientId);
    const client = await gateway.socket();
    const password = options.password === undefined ? connect.password : Buffer.from(options.password);
    client.send({ ...connect, password });
    await gateway.settle();
    const connack = client.take('connack');
    if (connack.reasonCode !== 0) return connack.reasonCode;
    client.send(publishPacket(topic, 'x', { packetId: 1 }));
    await gateway.durable();
    const [answer] = client.takeAll();
    client.cut();
    await gateway.settle();
    return answer?.type === 'puback' ? answer.reasonCode : 'closed';
  }
}

export interface Carried {
  readonly id: number;
  readonly text: string;
  readonly duplicate: boolean;
}
