/** A lock on a path that dies with its owner, however it dies. */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

export interface PathLock {
  release(): Promise<void>;
}

/**
 * One owner per directory, whichever process or thread. The lock is a socket that the operating system frees when its
 * owner dies, so it can never be stale; asked, the owner tells its process id. Throws what `inUse` makes of that.
 */
export async function lockPath(directory: string, inUse: (owner: string) => Error): Promise<PathLock> {
  const address = addressOf(realpathSync(directory));
  const server = net.createServer(socket => socket.on('error', () => {}).end(`${process.pid}`));
  const bound = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(address, () => resolve(true));
  });
  if (!bound) throw inUse(await askOwner(address));
  server.unref();
  return { release: () => new Promise(resolve => server.close(() => resolve())) };
}

/** Linux: a name without a file. Windows: a pipe, which needs none either. */
function addressOf(realDirectory: string): string {
  const name = `mimamori-${createHash('sha256').update(realDirectory).digest('hex').slice(0, 32)}`;
  if (process.platform === 'linux') return `\0${name}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return path.join(os.tmpdir(), `${name}.sock`);
}

function askOwner(address: string): Promise<string> {
  return new Promise(resolve => {
    let text = '';
    const socket = net.connect(address);
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', bytes => {
      text += bytes;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(/^\d+$/.test(text) ? `process ${text}` : 'another process'));
  });
}
