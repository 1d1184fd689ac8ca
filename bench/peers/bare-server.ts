// A process that answers CONNECT and acknowledges QoS 1 publishes by scanning for their packet ids. It keeps nothing,
// checks nothing and routes nothing: what it reaches is the limit of the load generator and of Node's sockets.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connackAccepted, extentOf } from '../packets.ts';

const publishType = 3;
const connectType = 1;

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
