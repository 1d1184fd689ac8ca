// Finding a free TCP port and waiting until a server listens on it; for servers that cannot say theirs.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerProcess } from './server-process.ts';

const retryMs = 5; // short, for the time until a server is back is measured with it

/** Free a moment ago; another process may take it before it is used, which then shows as a failed start. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a listening TCP server's address is never a string
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves once `server` listens on `port`. @throws BenchError when it ends first, or takes too long. */
export async function startedOnPort(server: ServerProcess, port: number): Promise<void> {
  let abandoned = false;
  try {
    await server.started(listening(port, () => abandoned));
  } finally {
    abandoned = true;
  }
}

/** Resolves once a connection is accepted. Never rejects: whoever waits decides for how long. */
async function listening(port: number, abandoned: () => boolean): Promise<void> {
  while (!abandoned()) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(retryMs); // refused: not yet listening
    } finally {
      socket.destroy();
    }
  }
}
