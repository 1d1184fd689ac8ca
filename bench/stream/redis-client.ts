// As much of Redis' protocol (RESP2) as the benchmark needs: commands in, replies in their order. All that is sent in one
// turn of the event loop goes out in one write, as clients with automatic pipelining do it.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export type RedisReply = string | number | null | RedisReply[];

interface Waiting {
  resolve: (reply: RedisReply) => void;
  reject: (error: Error) => void;
}

export class RedisClient {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #answered = 0;
  #unsent: Buffer[] = [];
  #received: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', bytes => this.#receive(bytes));
    const fail = (error: Error) => {
      for (const { reject } of this.#waiting.slice(this.#answered)) reject(error);
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('Redis closed the connection.')));
  }

  static async open(port: number): Promise<RedisClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return new RedisClient(socket);
  }

  command(...parts: (string | Buffer)[]): Promise<RedisReply> {
    if (this.#unsent.length === 0) queueMicrotask(() => this.#send());
    this.#unsent.push(Buffer.from(`*${parts.length}\r\n`));
    for (const part of parts) {
      const bytes = typeof part === 'string' ? Buffer.from(part) : part;
      this.#unsent.push(Buffer.from(`$${bytes.length}\r\n`), bytes, lineEnd);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy();
  }

  #send(): void {
    this.#socket.write(Buffer.concat(this.#unsent));
    this.#unsent = [];
  }

  #receive(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    let at = 0;
    for (let read = readReply(this.#received, at); read; read = readReply(this.#received, at)) {
      at = read.end;
      const { resolve, reject } = this.#waiting[this.#answered++];
      if (read.reply instanceof Error) reject(read.reply);
      else resolve(read.reply);
    }
    this.#received = this.#received.subarray(at);
    if (this.#answered === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#answered = 0;
    }
  }
}

const lineEnd = Buffer.from('\r\n');

/** The reply that begins at `start`, or undefined while not all of it is there. */
export function readReply(bytes: Buffer, start: number): { reply: RedisReply | Error; end: number } | undefined {
  const lineAt = bytes.indexOf(lineEnd, start);
  if (lineAt < 0) return undefined;
  const line = bytes.toString('latin1', start + 1, lineAt);
  const next = lineAt + lineEnd.length;
  switch (String.fromCharCode(bytes[start])) {
    case '+':
      return { reply: line, end: next };
    case '-':
      return { reply: new Error(line), end: next };
    case ':':
      return { reply: Number(line), end: next };
    case '$':
      return readText(bytes, next, Number(line));
    case '*':
      return readArray(bytes, next, Number(line));
    default:
      throw new Error(`Redis answered ${bytes.toString('latin1', start, start + 20)}`);
  }
}

function readText(bytes: Buffer, start: number, length: number): { reply: string | null; end: number } | undefined {
  if (length < 0) return { reply: null, end: start };
  const end = start + length;
  if (end + lineEnd.length > bytes.length) return undefined;
  return { reply: bytes.toString('latin1', start, end), end: end + lineEnd.length };
}

function readArray(bytes: Buffer, start: number, count: number): { reply: RedisReply; end: number } | undefined {
  if (count < 0) return { reply: null, end: start };
  const items: RedisReply[] = [];
  let at = start;
  for (let index = 0; index < count; index++) {
    const item = readReply(bytes, at);
    if (!item) return undefined;
    if (item.reply instanceof Error) throw item.reply;
    items.push(item.reply);
    at = item.end;
  }
  return { reply: items, end: at };
}
