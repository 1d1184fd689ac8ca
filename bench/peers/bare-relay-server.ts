// A process that does what a broker must do for QoS 0 with the least Node can: it answers CONNECT with prepared bytes,
// notes who subscribed to which topic (no wildcards), and writes the bytes of publishes as they came to each of them.
// It checks nothing and keeps nothing: what it reaches is the limit of Node's sockets and of the generator. For the
// connect benchmark it is the server that gives the prepared CONNACK. Arguments: none, or certificate and key for TLS.
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { connackAccepted, extentOf } from '../packets.ts';

const connectType = 1;
const publishType = 3;
const subscribeType = 8;
const disconnectType = 14;

const subscribers = new Map<string, Set<net.Socket>>();

function serve(socket: net.Socket): void {
  const topics: string[] = [];
  let rest: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => {}); // the generator may leave without a goodbye
  socket.on('close', () => {
    for (const topic of topics) subscribers.get(topic)?.delete(socket);
  });
  socket.on('data', (data: Buffer) => {
    const bytes = rest.length === 0 ? data : Buffer.concat([rest, data]);
    let start = 0;
    let run: Run | undefined; // of publishes in a row to one topic: one write to each subscriber
    for (let extent = extentOf(bytes, 0); extent !== undefined; extent = extentOf(bytes, start)) {
      const type = (bytes[start] ?? 0) >> 4;
      if (type === connectType) socket.write(connackAccepted);
      if (type === disconnectType) socket.end();
      if (type === subscribeType) topics.push(...subscribe(socket, bytes.subarray(extent.body, extent.end)));
      if (type === publishType) {
        const topicEnd = extent.body + 2 + bytes.readUInt16BE(extent.body);
        const topic = bytes.toString('latin1', extent.body + 2, topicEnd);
        if (run?.topic !== topic) {
          relay(bytes, run);
          run = { topic, start, end: start };
        }
        run.end = extent.end;
      } else {
        relay(bytes, run);
        run = undefined;
      }
      start = extent.end;
    }
    relay(bytes, run);
    rest = bytes.subarray(start);
  });
}

interface Run {
  topic: string;
  start: number;
  end: number;
}

function relay(bytes: Buffer, run: Run | undefined): void {
  if (run === undefined) return;
  const packets = bytes.subarray(run.start, run.end);
  for (const receiver of subscribers.get(run.topic) ?? []) receiver.write(packets);
}

/** Grants QoS 0 to every filter of a SUBSCRIBE [MQTT311 3.8, 3.9]. */
function subscribe(socket: net.Socket, body: Buffer): string[] {
  const topics: string[] = [];
  for (let at = 2; at < body.length; ) {
    const topicEnd = at + 2 + body.readUInt16BE(at);
    topics.push(body.toString('latin1', at + 2, topicEnd));
    at = topicEnd + 1; // behind the QoS
  }
  for (const topic of topics) {
    const receivers = subscribers.get(topic) ?? new Set();
    subscribers.set(topic, receivers.add(socket));
  }
  socket.write(Buffer.from([0x90, 2 + topics.length, body[0] ?? 0, body[1] ?? 0, ...topics.map(() => 0)]));
  return topics;
}

const [certFile, keyFile] = process.argv.slice(2);
const server =
  certFile === undefined || keyFile === undefined
    ? net.createServer(serve)
    : tls.createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, serve);
server.listen({ port: 0, host: '127.0.0.1', backlog: 511 }, () => {
  const { port } = server.address() as net.AddressInfo; // a listening TCP server's address is never a string
  process.stdout.write(`${port}\n`);
});
