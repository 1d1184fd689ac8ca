// Starts the bare server: the least a Node process can do with a QoS 1 publish.
import { join } from 'node:path';
import { type Peer, ServerProcess } from '../server-process.ts';

export async function startBareServer(): Promise<Peer> {
  const server = new ServerProcess('The bare server', process.execPath, [join(import.meta.dirname, 'bare-server.ts')]);
  const port = Number(await server.firstLine(() => true));
  return {
    name: 'bare',
    pid: server.pid,
    mqttPort: port,
    lastWords: () => server.lastWords(),
    stop: () => server.stop(),
  };
}
