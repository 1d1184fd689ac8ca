import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { MimamoriError } from '../kernel/errors.ts';

export interface DataLock {
  release(): Promise<void>;
}

/**
 * One process per data directory. The lock is a socket that the operating system frees when its owner dies, however
 * it dies, so a lock can never be stale; asked, the owner tells its process id. Throws `data.inUse`.
 */
export async function lockDataDirectory(directory: string): Promise<DataLock> {
  const address = addressOf(realpathSync(directory));
  const server = net.createServer(socket => socket.on('error', () => {}).end(`${process.pid}`));
  const bound = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(address, () => resolve(true));
  });
  if (!bound) throw dataInUse(directory, await askOwner(address));
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

const dataInUse = (directory: string, owner: string) =>
  new MimamoriError({
    code: 'data.inUse',
    message: `${directory} is in use by ${owner}.`,
    fix: 'Stop that one first, or choose another folder with --data.',
  });
