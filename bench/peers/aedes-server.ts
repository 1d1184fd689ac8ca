// A process that is Aedes and nothing else. Arguments: none, or the files of a certificate and its key for TLS.
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { Aedes } from 'aedes';

const [certFile, keyFile] = process.argv.slice(2);
const broker = await Aedes.createBroker();
const handle = (socket: net.Socket) => {
  socket.setNoDelay(true); // as the others have it; it would gather small packets otherwise
  broker.handle(socket);
};
const server =
  certFile === undefined || keyFile === undefined
    ? net.createServer(handle)
    : tls.createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, handle);
server.listen({ port: 0, host: '127.0.0.1', backlog: 511 }, () => {
  const { port } = server.address() as net.AddressInfo; // a listening TCP server's address is never a string
  process.stdout.write(`${port}\n`);
});
