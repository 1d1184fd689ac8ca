/** The port of an endpoint: who may connect, and how it stops. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import { Door, type DoorOptions } from './door.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { endpointLimits } from './limits.ts';
import { onceProtocolKnown } from './preface.ts';

export interface ListenOptions {
  /** Anything but this machine itself needs `credentials`. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Further connections are closed at once. */
  readonly connectionsMax: number;
  /** Takes HTTP/2 on the same port, too. Default: not. */
  readonly hasHttp2?: boolean;
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
  const sessions = options.hasHttp2 ? new Http2Sessions({ door, clock }) : undefined;
  /** Connections that have not asked anything yet; Node does not take them for idle. */
  const silent = new Set<Socket>();
  const server = openServer((request, response) => {
    silent.delete(request.socket);
    door.receive(request, response);
  });
  const takeHttp2 = (socket: Socket) => {
    silent.delete(socket);
    sessions?.take(socket);
  };
  if (sessions) tellApart(server, clock, takeHttp2);
  server.on('connection', socket => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.maxConnections = Math.min(endpointLimits.connectionsMax, connectionsMax);
  const actualPort = await bind(server, host, port).catch(cause => {
    throw isPortTaken(cause) ? problems.portInUse(port, cause) : problems.hostNotUsable(host, cause);
  });
  const close = () =>
    new Promise<void>(resolve => {
      const timer = clock.setTimer(endpointLimits.closeMs, () => {
        server.closeAllConnections();
        sessions?.destroy();
      });
      door.close();
      sessions?.close();
      server.close(() => {
        timer.cancel();
        resolve();
      });
      for (const socket of silent) socket.destroy();
    });
  return { url: `http://${nameOf(host)}:${actualPort}`, port: actualPort, close };
}

function openServer(receive: RequestListener): Server {
  return createServer(
    {
      maxHeaderSize: endpointLimits.headerBytesMax,
      headersTimeout: endpointLimits.headersTimeoutMs,
      requestTimeout: endpointLimits.requestTimeoutMs,
      keepAliveTimeout: endpointLimits.keepAliveTimeoutMs,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
    },
    receive,
  );
}

/** Resolves with the port it got. */
async function bind(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1_024 }, resolve);
  });
  server.removeAllListeners('error').on('error', () => {}); // EMFILE while accepting: Node goes on by itself.
  const bound = server.address();
  return typeof bound === 'object' && bound ? bound.port : port;
}

/** Hands a connection to HTTP/1.1 only when it is clear that it is not one of HTTP/2. */
function tellApart(server: Server, clock: Clock, takeHttp2: (socket: Socket) => void): void {
  const own = server.listeners('connection');
  server.removeAllListeners('connection').on('connection', (socket: Socket) => {
    onceProtocolKnown(socket, clock, isHttp2 => {
      if (isHttp2) takeHttp2(socket);
      else for (const listener of own) listener.call(server, socket);
    });
  });
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
