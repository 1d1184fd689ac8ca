// The same calls as the SDK makes, written straight to sockets: what is left is the server. One connection per caller.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { openSdkTable } from './sdk-table.ts';
import type { BenchItem, TableUnderLoad } from './table-under-load.ts';

const TableName = 'bench';
const idleMsMax = 3_000;
const authorization =
  'AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=0';

export async function openRawTable(url: string): Promise<TableUnderLoad> {
  await (await openSdkTable(url)).close(); // makes the table
  const { hostname, port } = new URL(url);
  const idle: RawConnection[] = [];
  const call = async (target: string, input: object) => {
    let connection = idle.pop();
    for (; connection?.isStale; connection = idle.pop()) connection.close();
    connection ??= await RawConnection.open(hostname, Number(port));
    const answer = await connection.call(target, JSON.stringify(input));
    idle.push(connection);
    return answer;
  };
  return {
    put: item => call('PutItem', { TableName, Item: typed(item) }),
    update: id =>
      call('UpdateItem', {
        TableName,
        Key: { PK: { S: `User-${id}` }, SK: { S: 'Profile' } },
        ConditionExpression: 'attribute_exists(PK)',
        UpdateExpression: 'SET #count = #count + :one',
        ExpressionAttributeNames: { '#count': 'count' },
        ExpressionAttributeValues: { ':one': { N: '1' } },
      }),
    get: id =>
      call('GetItem', { TableName, Key: { PK: { S: `User-${id}` }, SK: { S: 'Profile' } }, ConsistentRead: true }),
    query: list =>
      call('Query', {
        TableName,
        KeyConditionExpression: 'PK = :list',
        ExpressionAttributeValues: { ':list': { S: `List-${list}` } },
        ConsistentRead: true,
      }),
    transact: items =>
      call('TransactWriteItems', {
        TransactItems: items.map(item => ({
          Put: { TableName, Item: typed(item), ConditionExpression: 'attribute_not_exists(PK)' },
        })),
      }),
    batch: items =>
      call('BatchWriteItem', {
        RequestItems: { [TableName]: items.map(item => ({ PutRequest: { Item: typed(item) } })) },
      }),
    close: async () => {
      for (const connection of idle) connection.close();
    },
  };
}

function typed({ PK, SK, City, Rank, count, note }: BenchItem): object {
  return {
    PK: { S: PK },
    SK: { S: SK },
    City: { S: City },
    Rank: { S: Rank },
    count: { N: `${count}` },
    note: { S: note },
  };
}

class RawConnection {
  readonly #socket: Socket;
  readonly #host: string;
  #received = '';
  #usedAtMs = performance.now();
  #waiting: { resolve: (body: string) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.setEncoding('latin1').on('data', (text: string) => this.#receive(text));
    socket.on('close', () => this.#waiting?.reject(new Error('The server closed the connection.')));
    socket.on('error', error => this.#waiting?.reject(error));
  }

  static async open(hostname: string, port: number): Promise<RawConnection> {
    const socket = connect({ host: hostname, port, noDelay: true });
    await once(socket, 'connect');
    return new RawConnection(socket, `${hostname}:${port}`);
  }

  /** Servers close what has been idle for a while, Node's after 5 s, and may be about to. */
  get isStale(): boolean {
    return this.#socket.readyState !== 'open' || performance.now() - this.#usedAtMs > idleMsMax;
  }

  call(target: string, body: string): Promise<string> {
    this.#socket.write(
      `POST / HTTP/1.1\r\nhost: ${this.#host}\r\nx-amz-target: DynamoDB_20120810.${target}\r\ncontent-type: application/x-amz-json-1.0\r\n` +
        `x-amz-date: 20260101T000000Z\r\nauthorization: ${authorization}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
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
