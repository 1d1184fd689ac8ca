/** The port of an endpoint: who may connect, and how it stops. */
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { codeOf } from '../../kernel/errors.ts';
import { Door, type DoorOptions } from './door.ts';
import { endpointLimits } from './limits.ts';

export interface ListenOptions {
  /** Anything but this machine itself needs `credentials`. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Further connections are closed at once. */
  readonly connectionsMax: number;
}

/** What a service calls the reasons for which its endpoint cannot be opened. */
export interface ListenProblems {
  credentialsRequired(host: string): Error;
  portInUse(port: number, cause: unknown): Error;
  hostNotUsable(host: string, cause: unknown): Error;
}

export interface EndpointListener {
  readonly url: string;
  readonly port: number;
  /** Answers what is in flight, for a while; then ends every connection. */
  close(): Promise<void>;
}

/** Throws what `problems` makes of it. */
export async function listenEndpoint(
  options: ListenOptions & DoorOptions,
  problems: ListenProblems,
): Promise<EndpointListener> {
  const { host, port, connectionsMax, clock } = options;
  if (!options.credentials && !isLoopback(host)) throw problems.credentialsRequired(host);
  const door = new Door(options);
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
      door.receive(request, response);
    },
  );
  server.on('connection', socket => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.maxConnections = Math.min(endpointLimits.connectionsMax, connectionsMax);
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(isPortTaken(cause) ? problems.portInUse(port, cause) : problems.hostNotUsable(host, cause)),
    );
    server.listen({ host, port, backlog: 1_024 }, resolve);
  });
  server.removeAllListeners('error').on('error', () => {}); // EMFILE while accepting: Node goes on by itself.
  const bound = server.address();
  const actualPort = typeof bound === 'object' && bound ? bound.port : port;
  const close = () =>
    new Promise<void>(resolve => {
      const timer = clock.setTimer(endpointLimits.closeMs, () => server.closeAllConnections());
      door.close();
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

function isPortTaken(cause: unknown): boolean {
  return ['EADDRINUSE', 'EACCES'].includes(codeOf(cause));
}
