import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { codeOf, MimamoriError, messageOf } from '../../kernel/errors.ts';
import { Endpoint, type EndpointOptions } from '../dynamodb/endpoint.ts';
import { endpointLimits } from './limits.ts';

export interface ListenOptions extends EndpointOptions {
  /** Anything but this machine itself needs `credentials`. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Further connections are closed at once. */
  readonly connectionsMax: number;
}

export interface EndpointListener {
  readonly url: string;
  readonly port: number;
  /** Answers what is in flight, for a while; then ends every connection. */
  close(): Promise<void>;
}

/** Throws `dynamodb.credentialsRequired`, `dynamodb.portInUse` and `dynamodb.hostNotUsable`. */
export async function listenDynamoDb(options: ListenOptions): Promise<EndpointListener> {
  const { host, port, connectionsMax, clock } = options;
  if (!options.credentials && !isLoopback(host)) throw credentialsRequired(host);
  const endpoint = new Endpoint(options);
  /** Connections that have not asked anything yet; Node does not take them for idle. */
  const silent = new Set<Socket>();
  const server = createServer(
    {
      maxHeaderSize: endpointLimits.headerBytesMax,
      headersTimeout: endpointLimits.headersTimeoutMs,
      requestTimeout: endpointLimits.requestTimeoutMs,
      keepAliveTimeout: endpointLimits.keepAliveTimeoutMs,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
    },
    (request, response) => {
      silent.delete(request.socket);
      endpoint.receive(request, response);
    },
  );
  server.on('connection', socket => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.maxConnections = Math.min(endpointLimits.connectionsMax, connectionsMax);
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => reject(listenErrorOf(cause, { host, port })));
    server.listen({ host, port, backlog: 1_024 }, resolve);
  });
  server.removeAllListeners('error').on('error', () => {}); // EMFILE while accepting: Node goes on by itself.
  const bound = server.address();
  const actualPort = typeof bound === 'object' && bound ? bound.port : port;
  const close = () =>
    new Promise<void>(resolve => {
      const timer = clock.setTimer(endpointLimits.closeMs, () => server.closeAllConnections());
      endpoint.close();
      server.close(() => {
        timer.cancel();
        resolve();
      });
      for (const socket of silent) socket.destroy();
    });
  return { url: `http://${nameOf(host)}:${actualPort}`, port: actualPort, close };
}

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function nameOf(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

function listenErrorOf(cause: unknown, { host, port }: { host: string; port: number }): unknown {
  const code = codeOf(cause);
  return code === 'EADDRINUSE' || code === 'EACCES' ? portInUse(port, cause) : hostNotUsable(host, cause);
}

const credentialsRequired = (host: string) =>
  new MimamoriError({
    code: 'dynamodb.credentialsRequired',
    message: `${host} can be reached by others, and without credentials they could read and change every table.`,
    fix: 'Give credentials (--access-key and --secret-key, or --credentials FILE), or listen at 127.0.0.1.',
  });

const portInUse = (port: number, cause: unknown) =>
  new MimamoriError({
    code: 'dynamodb.portInUse',
    message: `The DynamoDB port ${port} cannot be opened.`,
    fix: 'Stop whatever has it (DynamoDB Local uses 8000 too), choose another port, or 0 for a free one.',
    cause,
  });

const hostNotUsable = (host: string, cause: unknown) =>
  new MimamoriError({
    code: 'dynamodb.hostNotUsable',
    message: `${host} is not an address to listen at: ${messageOf(cause)}`,
    fix: 'Give --host an address of this machine: 127.0.0.1 for itself only, 0.0.0.0 for all of its networks.',
    cause,
  });
