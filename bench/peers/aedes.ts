// Aedes as a peer: the Node broker of the field, in a process of its own, in memory as it comes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerKind, StartOptions } from '../server-kind.ts';
import { type Peer, ServerProcess } from '../server-process.ts';

const script = join(import.meta.dirname, 'aedes-server.ts');
const manifest = join(import.meta.dirname, '..', '..', 'node_modules', 'aedes', 'package.json');

async function start({ certificate }: StartOptions): Promise<Peer> {
  const tls = certificate === undefined ? [] : [certificate.certFile, certificate.keyFile];
  const server = new ServerProcess('Aedes', process.execPath, [script, ...tls]);
  return server.asPeer('aedes', Number(await server.firstLine(() => true)));
}

function version(): string | undefined {
  try {
    return JSON.parse(readFileSync(manifest, 'utf8')).version;
  } catch {
    return undefined; // not installed
  }
}

export const aedes: ServerKind = {
  name: 'aedes',
  role: 'peer',
  needs: 'aedes (`npm install`, with development dependencies)',
  version,
  start,
  keepsAfterKill: 'nothing: the persistence it brings along is in memory',
};
