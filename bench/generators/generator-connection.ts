// One MQTT connection of a load generator, as thin as Node allows: one read buffer serves all sockets, and whoever
// listens says how many of the bytes it took; what a read cut off comes again in front of the next one.
import * as net from 'node:net';
import * as tls from 'node:tls';
import { type ConnectOptions, connackAccepted, encodeConnect } from '../packets.ts';

const readBufferBytes = 64 * 1024;

/** Shared by all sockets: a read is handed over and used up before the next one begins. */
const readBuffer = Buffer.alloc(readBufferBytes);
const nothing = Buffer.alloc(0);
const none = () => 0;

/** One for all: what a client can prepare for many connections is not measured. No session is resumed by it. */
const secureContext = tls.createSecureContext();

export interface Target {
  port: number;
  isTls: boolean;
}

/** Takes whole packets from the front of `bytes`, which are valid until it returns; gives back how many bytes it took. */
export type TakeBytes = (bytes: Buffer) => number;

export class GeneratorConnection {
  readonly clientId: string;
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  #take: TakeBytes = none;
  #rest: Buffer = nothing;
  #onEnd: (why: string) => void;

  /** Connects and signs in. Rejects when the server does not accept it. */
  static async open(
    target: Target,
    options: ConnectOptions,
  ): Promise<[GeneratorConnection, { sessionPresent: boolean }]> {
    const connection = new GeneratorConnection(target, options.clientId);
    const connack = await connection.#connected(encodeConnect(options));
    const isAccepted = connack[0] === connackAccepted[0] && connack[3] === connackAccepted[3];
    if (!isAccepted) throw new Error(`The answer to CONNECT of ${options.clientId} was 0x${connack.toString('hex')}.`);
    return [connection, { sessionPresent: (connack[2] & 1) === 1 }];
  }

  private constructor({ port, isTls }: Target, clientId: string) {
    this.clientId = clientId;
    const onread = { buffer: readBuffer, callback: (count: number) => this.#receive(count) };
    const options = { host: '127.0.0.1', port, noDelay: true, onread };
    this.#onEnd = () => {};
    this.#socket = isTls ? tls.connect({ ...options, secureContext, rejectUnauthorized: false }) : net.connect(options);
    this.#socket.on('error', error => this.#onEnd(`Connection ${clientId} broke: ${error.message}`));
    this.closed = new Promise(resolve => {
      this.#socket.on('close', () => {
        this.#onEnd(`The server closed connection ${clientId}.`);
        resolve();
      });
    });
  }

  /** What to do when the connection ends unasked. */
  set onEnd(onEnd: (why: string) => void) {
    this.#onEnd = onEnd;
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Two writes as one packet of the network. */
  writeBoth(first: Buffer, second: Buffer): void {
    this.#socket.cork();
    this.#socket.write(first);
    this.#socket.write(second);
    this.#socket.uncork();
  }

  /** From now on `take` gets what comes, beginning with what came and nobody took. */
  listen(take: TakeBytes): void {
    this.#take = take;
    const waiting = this.#rest;
    this.#rest = nothing;
    if (waiting.length > 0) this.#offer(waiting);
  }

  /** Writes a request and waits for an answer of known length. Rejects when the connection ends first. */
  ask(request: Buffer, answerBytes: number): Promise<Buffer> {
    const answer = this.next(answerBytes);
    this.write(request);
    return answer;
  }

  /** The next `count` bytes, copied. Rejects when the connection ends first. */
  next(count: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#onEnd = why => reject(new Error(why));
      this.listen(bytes => {
        if (bytes.length < count) return 0;
        this.#take = none;
        resolve(Buffer.from(bytes.subarray(0, count)));
        return count;
      });
    });
  }

  destroy(): void {
    this.#onEnd = () => {};
    this.#socket.destroy();
  }

  #connected(connect: Buffer): Promise<Buffer> {
    const event = this.#socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect';
    this.#socket.once(event, () => this.#socket.write(connect));
    return this.next(connackAccepted.length);
  }

  #receive(count: number): boolean {
    const read = readBuffer.subarray(0, count);
    this.#offer(this.#rest.length === 0 ? read : Buffer.concat([this.#rest, read]));
    return true; // keep reading
  }

  #offer(bytes: Buffer): void {
    const taken = this.#take(bytes);
    this.#rest = taken === bytes.length ? nothing : Buffer.from(bytes.subarray(taken)); // readBuffer is used again
  }
}
