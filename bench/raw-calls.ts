// Calls of the AWS JSON protocol written straight to sockets, as the SDK makes them: what is left is the server. One
// connection for each call that is under way.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const idleMsMax = 3_000;

export interface RawService {
  /** As in the header: `DynamoDB_20120810`. */
  target: string;
  contentType: string;
  /** As in the signature, which servers under measurement do not check. */
  name: string;
}

export class RawCalls {
  readonly #url: URL;
  readonly #service: RawService;
  readonly #idle: RawConnection[] = [];

  constructor(url: string, service: RawService) {
    this.#url = new URL(url);
    this.#service = service;
  }

  /** The body of the answer. */
  async call(operation: string, input: object): Promise<string> {
    let connection = this.#idle.pop();
    for (; connection?.isStale; connection = this.#idle.pop()) connection.close();
    connection ??= await RawConnection.open(this.#url.hostname, Number(this.#url.port), this.#service);
    const answer = await connection.call(operation, JSON.stringify(input));
    this.#idle.push(connection);
    return answer;
  }

  close(): void {
    for (const connection of this.#idle) connection.close();
  }
}

class RawConnection {
  readonly #socket: Socket;
  readonly #head: (operation: string) => string;
  #received = '';
  #usedAtMs = performance.now();
  #waiting: { resolve: (body: string) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket, host: string, { target, contentType, name }: RawService) {
    this.#socket = socket;
    const scope = `Credential=bench/20260101/us-east-1/${name}/aws4_request`;
    this.#head = operation =>
      `POST / HTTP/1.1\r\nhost: ${host}\r\nx-amz-target: ${target}.${operation}\r\ncontent-type: ${contentType}\r\n` +
      `x-amz-date: 20260101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 ${scope}, ` +
      'SignedHeaders=host;x-amz-date;x-amz-target, Signature=0\r\n';
    socket.setEncoding('latin1').on('data', (text: string) => this.#receive(text));
    socket.on('close', () => this.#waiting?.reject(new Error('The server closed the connection.')));
    socket.on('error', error => this.#waiting?.reject(error));
  }

  static async open(hostname: string, port: number, service: RawService): Promise<RawConnection> {
    const socket = connect({ host: hostname, port, noDelay: true });
    await once(socket, 'connect');
    return new RawConnection(socket, `${hostname}:${port}`, service);
  }

  /** Servers close what has been idle for a while, Node's after 5 s, and may be about to. */
  get isStale(): boolean {
    return this.#socket.readyState !== 'open' || performance.now() - this.#usedAtMs > idleMsMax;
  }

  call(operation: string, body: string): Promise<string> {
    this.#socket.write(`${this.#head(operation)}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#received.slice(0, headEnd))?.[1]);
    if (this.#received.length < headEnd + 4 + length) return;
    const answer = this.#received;
    this.#received = '';
    this.#usedAtMs = performance.now();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (answer.startsWith('HTTP/1.1 200')) waiting?.resolve(answer.slice(headEnd + 4));
    else waiting?.reject(new Error(answer.slice(headEnd + 4)));
  }
}
