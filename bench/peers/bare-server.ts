// A process that answers CONNECT and acknowledges QoS 1 publishes by scanning for their packet ids. It keeps nothing,
// checks nothing and routes nothing: what it reaches is the limit of the load generator and of Node's sockets.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connackAccepted } from '../packets.ts';

const publishType = 3;
const connectType = 1;

/** Where the packet at `start` ends, and where its body begins; undefined while its bytes are not all there. */
function extentOf(bytes: Buffer, start: number): { body: number; end: number } | undefined {
  let length = 0;
  for (let at = start + 1, shift = 0; at < bytes.length; at++, shift += 7) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) << shift;
    if (byte < 0x80) return at + 1 + length <= bytes.length ? { body: at + 1, end: at + 1 + length } : undefined;
  }
  return undefined;
}

function acknowledge(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => {}); // the generator may leave without a goodbye
  socket.on('data', (data: Buffer) => {
    const bytes = rest.length === 0 ? data : Buffer.concat([rest, data]);
    const acks: number[] = [];
    let start = 0;
    for (let extent = extentOf(bytes, 0); extent !== undefined; extent = extentOf(bytes, start)) {
      const type = (bytes[start] ?? 0) >> 4;
      if (type === connectType) acks.push(...connackAccepted);
      if (type === publishType) {
        const packetId = extent.body + 2 + bytes.readUInt16BE(extent.body);
        acks.push(0x40, 0x02, bytes[packetId] ?? 0, bytes[packetId + 1] ?? 0);
      }
      start = extent.end;
    }
    rest = bytes.subarray(start);
    if (acks.length > 0) socket.write(Buffer.from(acks));
  });
}

const server = createServer(acknowledge);
server.listen({ port: 0, host: '127.0.0.1', backlog: 511 }, () => {
  const { port } = server.address() as AddressInfo; // a listening TCP server's address is never a string
  process.stdout.write(`${port}\n`);
});
