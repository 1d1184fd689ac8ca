/** HTTP on connections accepted and secured elsewhere: ordinary requests, and those that become a WebSocket for MQTT. */
import http from 'node:http';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { type Server, WebSocketServer } from 'ws';
import { codeOf } from './errors.ts';
import { listenLimits } from './listen-limits.ts';
import type { ListenDeadlines, Peer, RefusalReason, RequestHandler, Socket, WebSocketOptions } from './sockets.ts';
import { ignoreError } from './tcp-socket.ts';
import { chooseSubprotocol, judgeUpgrade, type Problem, problems } from './upgrade.ts';
import { QuietWebSocket, WebSocketSocket } from './web-socket.ts';

export interface WebDoorOptions {
  readonly webSocket: WebSocketOptions | undefined;
  readonly onRequest: RequestHandler | undefined;
  readonly deadlines: ListenDeadlines;
  /** Both never throw. */
  readonly accept: (socket: Socket) => void;
  readonly refuse: (reason: RefusalReason, detail: string, remoteAddress: string) => void;
}

interface Visitor {
  readonly peer: Peer;
  readonly startMs: number;
  /** Requests that are being answered: an error after them must not be mixed with their answers. */
  answering: number;
}

const pingSlots = 16; // ours: an interval is divided, so that not everybody is pinged in the same turn

export class WebDoor {
  readonly #options: WebDoorOptions;
  readonly #http: http.Server;
  readonly #webSockets: Server<typeof QuietWebSocket>;
  /** Those that are no WebSocket, or not yet. */
  readonly #visitors = new Map<Duplex, Visitor>();
  readonly #slots: Set<WebSocketSocket>[] = Array.from({ length: pingSlots }, () => new Set());
  #slot = 0;
  #admitted = 0;
  #pinging: NodeJS.Timeout | undefined;
  #isClosing = false;

  constructor(options: WebDoorOptions) {
    this.#options = options;
    this.#webSockets = this.#openWebSockets();
    this.#http = this.#openHttp();
  }

  /** @param startMs  on `performance.now()`: when the connection was accepted */
  serve(socket: net.Socket, peer: Peer, startMs: number): void {
    this.#visitors.set(socket, { peer, startMs, answering: 0 });
    socket.once('close', () => this.#visitors.delete(socket));
    this.#http.emit('connection', socket); // As documented: any Duplex may be handed in so.
  }

  /** Idle connections end at once, requests that are being answered get their answer, WebSockets live on. */
  close(): void {
    this.#isClosing = true;
    this.#http.close();
    for (const [socket, { answering }] of this.#visitors) if (answering === 0) socket.destroy();
    const endAll = () => {
      for (const socket of this.#visitors.keys()) socket.destroy();
    };
    setTimeout(endAll, this.#options.deadlines.requestMs).unref();
  }

  // --- Requests ---------------------------------------------------------------------------------------------------

  #openHttp(): http.Server {
    const { deadlines, webSocket } = this.#options;
    const server = http.createServer({
      maxHeaderSize: listenLimits.requestHeaderBytesMax,
      headersTimeout: deadlines.requestHeadersMs,
      requestTimeout: deadlines.requestMs,
      keepAliveTimeout: listenLimits.keepAliveMs,
      connectionsCheckingInterval: Math.min(1_000, deadlines.requestHeadersMs / 4),
      shouldUpgradeCallback: request => webSocket !== undefined && asksForWebSocket(request), // Others are answered.
    });
    server.maxRequestsPerSocket = listenLimits.requestsPerConnectionMax;
    server.setTimeout(listenLimits.requestIdleMs);
    server.on('request', (request, response) => this.#request(request, response));
    server.on('clientError', (error, socket) => this.#requestNotValid(error, socket));
    if (webSocket) server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head, webSocket));
    // Node watches the deadlines of requests from here on; this server never listens itself.
    server.emit('listening');
    return server;
  }

  #request(request: http.IncomingMessage, response: http.ServerResponse): void {
    const visitor = this.#visitors.get(request.socket);
    if (!visitor) return void request.socket.destroy(); // Never: each came through `serve`.
    visitor.answering++;
    response.once('close', () => {
      visitor.answering--;
      if (this.#isClosing && visitor.answering === 0) request.socket.destroySoon();
    });
    const { onRequest } = this.#options;
    if (!onRequest) return answerProblem(response, problems.noSuchPath);
    const failed = (error: unknown) => {
      this.#options.refuse('failed', codeOf(error), visitor.peer.remoteAddress);
      if (response.headersSent) response.destroy();
      else answerProblem(response, problems.failed);
    };
    try {
      const answered = onRequest(request, response, visitor.peer);
      if (answered) answered.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #requestNotValid(error: NodeJS.ErrnoException, socket: Duplex): void {
    const visitor = this.#visitors.get(socket);
    const isGone = error.code === 'ECONNRESET' || error.code === 'EPIPE' || !socket.writable;
    if (visitor && !isGone) this.#options.refuse('request', error.code ?? 'unknown', visitor.peer.remoteAddress);
    if (isGone || !visitor || visitor.answering > 0) return void socket.destroy();
    endWithProblem(socket, problemOfCode[error.code ?? ''] ?? problems.notValid);
  }

  // --- WebSockets -------------------------------------------------------------------------------------------------

  #openWebSockets(): Server<typeof QuietWebSocket> {
    const { webSocket, deadlines } = this.#options;
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false, // Hostile X03: a bomb needs a fuse. MQTT payloads are small or packed already.
      maxPayload: webSocket?.messageBytesMax ?? listenLimits.webSocketMessageBytesMax,
      maxFragments: listenLimits.webSocketFragmentsMax,
      maxBufferedChunks: listenLimits.webSocketChunksMax,
      handleProtocols: chooseSubprotocol,
      WebSocket: QuietWebSocket,
      closeTimeout: deadlines.webSocketCloseMs, // Not in the types of ws yet.
    };
    const server = new WebSocketServer<typeof QuietWebSocket>(options);
    server.on('wsClientError', (_error, socket, request) => {
      this.#refuseUpgrade(request, socket, problems.upgradeNotValid);
    });
    return server;
  }

  #upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer, options: WebSocketOptions): void {
    socket.on('error', ignoreError); // Node's own listener is gone by now.
    const visitor = this.#visitors.get(socket);
    try {
      const problem = visitor ? judgeUpgrade(request, options) : problems.failed;
      if (problem || !visitor) return this.#refuseUpgrade(request, socket, problem ?? problems.failed);
      this.#webSockets.handleUpgrade(request, socket, head, webSocket =>
        this.#admit(webSocket, request.socket, visitor),
      );
    } catch (error) {
      if (visitor) this.#options.refuse('failed', codeOf(error), visitor.peer.remoteAddress);
      socket.destroy();
    }
  }

  #admit(webSocket: QuietWebSocket, socket: net.Socket, { peer, startMs }: Visitor): void {
    this.#visitors.delete(socket);
    const slot = this.#slots[this.#admitted++ % pingSlots];
    const admitted = new WebSocketSocket(webSocket, socket, {
      peer,
      handshakeMs: performance.now() - startMs,
      refuse: this.#options.refuse,
      closed: gone => this.#forget(gone, slot),
    });
    slot.add(admitted);
    const pingEveryMs = this.#options.deadlines.webSocketPingMs / pingSlots;
    this.#pinging ??= setInterval(() => this.#pingNext(), pingEveryMs).unref();
    this.#options.accept(admitted);
  }

  #forget(socket: WebSocketSocket, slot: Set<WebSocketSocket>): void {
    slot.delete(socket);
    if (this.#slots.some(({ size }) => size > 0)) return;
    clearInterval(this.#pinging);
    this.#pinging = undefined;
  }

  #pingNext(): void {
    this.#slot = (this.#slot + 1) % pingSlots;
    for (const socket of this.#slots[this.#slot]) socket.checkAlive();
  }

  #refuseUpgrade(request: http.IncomingMessage, socket: Duplex, problem: Problem): void {
    const visitor = this.#visitors.get(request.socket);
    if (visitor) this.#options.refuse('upgrade', problem.code, visitor.peer.remoteAddress);
    endWithProblem(socket, problem);
  }
}

const problemOfCode: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: problems.headersTooLarge,
  ERR_HTTP_REQUEST_TIMEOUT: problems.notInTime,
};

function asksForWebSocket({ headers }: http.IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

export function answerProblem(response: http.ServerResponse, problem: Problem): void {
  const body = bodyOf(problem);
  response.writeHead(problem.status, { 'content-type': 'application/problem+json', 'content-length': body.length });
  response.end(body);
}

/** Where HTTP has let go of the connection already. */
function endWithProblem(socket: Duplex, problem: Problem): void {
  const body = bodyOf(problem);
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nConnection: close\r\n` +
      `Content-Type: application/problem+json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

function bodyOf(problem: Problem): Buffer {
  return Buffer.from(JSON.stringify({ type: `urn:mimamori:${problem.code}`, ...problem }));
}
