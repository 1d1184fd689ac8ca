import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { connectionShares, descriptorLimit } from '../kernel/descriptors.ts';
import { MimamoriError } from '../kernel/errors.ts';
import { httpLimits } from './limits.ts';

/** Serves `api` on Node until `close`. Throws `http.portInUse`. */
export async function listenHttp(api: Hono, address: { host: string; port: number }): Promise<HttpListener> {
  const server: Server = createServer(
    {
      headersTimeout: httpLimits.headersTimeoutMs,
      requestTimeout: httpLimits.requestTimeoutMs,
      keepAliveTimeout: httpLimits.keepAliveTimeoutMs,
      connectionsCheckingInterval: 2_000,
      maxHeaderSize: 16 * 1024,
    },
    getRequestListener(api.fetch),
  );
  server.maxConnections = Math.min(httpLimits.connectionsMax, connectionShares(descriptorLimit()).http);
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => reject(portInUse(address.port, cause)));
    server.listen(address, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : address.port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections(); // Open live feeds would keep it waiting.
      }),
  };
}

export interface HttpListener {
  readonly port: number;
  close(): Promise<void>;
}

const portInUse = (port: number, cause: unknown) =>
  new MimamoriError({
    code: 'http.portInUse',
    message: `The HTTP port ${port} cannot be opened.`,
    fix: 'Choose another with --http-port, or 0 for a free one.',
    cause,
  });
