import { readFile } from 'node:fs/promises';
import { MimamoriError, messageOf } from '../kernel/errors.ts';
import type { TlsOptions } from '../kernel/sockets.ts';

/** Where TLS certificates lie, PEM each; the names are Mosquitto's. */
export interface TlsFiles {
  readonly certfile: string;
  readonly keyfile: string;
  readonly cafile?: string;
  readonly requireCertificate: boolean;
}

/** Throws `broker.tlsFileNotReadable`; whether what is in them can be used, the listener says. */
export async function readTls({ certfile, keyfile, cafile, requireCertificate }: TlsFiles): Promise<TlsOptions> {
  const read = (path: string) =>
    readFile(path).catch(cause => {
      throw tlsFileNotReadable(path, cause);
    });
  const [certificate, key, ca] = await Promise.all([
    read(certfile),
    read(keyfile),
    cafile === undefined ? undefined : read(cafile),
  ]);
  return { certificate, key, ca, requireCertificate };
}

const tlsFileNotReadable = (path: string, cause: unknown) =>
  new MimamoriError({
    code: 'broker.tlsFileNotReadable',
    message: `${path} cannot be read: ${messageOf(cause)}`,
    fix: 'Check the path and who may read it; it must hold PEM text.',
    cause,
  });
