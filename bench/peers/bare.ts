// Starts the bare servers: the least a Node process can do.
import { join } from 'node:path';
import type { ServerKind, StartOptions } from '../server-kind.ts';
import { type Peer, ServerProcess } from '../server-process.ts';

async function startScript(script: string, args: string[]): Promise<Peer> {
  const server = new ServerProcess('The bare server', process.execPath, [join(import.meta.dirname, script), ...args]);
  return server.asPeer('bare', Number(await server.firstLine(() => true)));
}

/** Acknowledges QoS 1 publishes: the limit of ingest. */
export function startBareServer(): Promise<Peer> {
  return startScript('bare-server.ts', []);
}

/** Relays QoS 0 publishes and accepts connections: the limit of route, fanout, connect and idle. */
export const bareRelay: ServerKind = {
  name: 'bare',
  role: 'limit',
  needs: 'nothing',
  version: () => process.version,
  start: ({ certificate }: StartOptions) =>
    startScript('bare-relay-server.ts', certificate === undefined ? [] : [certificate.certFile, certificate.keyFile]),
  keepsAfterKill: 'nothing',
};
