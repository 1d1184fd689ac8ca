/**
 * HTTP/2 without encryption, as SDKs speak it to an endpoint of plain http. What a peer can make us keep or do is
 * bounded: streams, headers, windows, resets, time.
 */
import { constants, createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Door } from './door.ts';
import { endpointLimits, http2Limits } from './limits.ts';

export class Http2Sessions {
  readonly #clock: Clock;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor({ door, clock }: { door: Door; clock: Clock }) {
    this.#clock = clock;
    this.#server = createServer(
      {
        maxSessionMemory: http2Limits.sessionMegabytesMax,
        maxHeaderListPairs: http2Limits.headersMax,
        maxSessionInvalidFrames: http2Limits.invalidFramesMax,
        maxSessionRejectedStreams: http2Limits.rejectedStreamsMax,
        streamResetBurst: http2Limits.resetBurst,
        streamResetRate: http2Limits.resetsPerSecond,
        settings: {
          maxConcurrentStreams: http2Limits.streamsMax,
          maxHeaderListSize: endpointLimits.headerBytesMax,
          initialWindowSize: http2Limits.streamWindowBytes,
        },
      },
      (request, response) => {
        // A peer that does not acknowledge our settings is not held to them.
        if (bytesOf(request.rawHeaders) > endpointLimits.headerBytesMax) request.stream.close(tooMuch);
        else door.receive(request, response);
      },
    );
    this.#server.on('session', session => this.#follow(session));
    this.#server.on('sessionError', () => {}); // The session is over; whoever it was must connect again.
  }

  /** A connection that begins with the preface, unread. */
  take(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /** Lets what is in flight be answered, then ends each session. */
  close(): void {
    for (const session of this.#sessions) session.close();
  }

  /** Ends them at once. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }

  /** A session on which nobody asks anything is closed, whatever else it says: pings are no requests. */
  #follow(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.setLocalWindowSize(http2Limits.sessionWindowBytes);
    let open = 0;
    let idle: Timer | undefined;
    const startIdle = (ms: number) => {
      idle = this.#clock.setTimer(ms, () => session.destroy());
    };
    startIdle(endpointLimits.headersTimeoutMs);
    session.on('stream', stream => {
      open++;
      idle?.cancel();
      stream.once('close', () => {
        if (--open === 0 && !session.destroyed) startIdle(endpointLimits.keepAliveTimeoutMs);
      });
    });
    session.once('close', () => {
      idle?.cancel();
      this.#sessions.delete(session);
    });
  }
}

const tooMuch = constants.NGHTTP2_ENHANCE_YOUR_CALM;

/** Names and values, with what RFC 9113 adds for each field. */
function bytesOf(rawHeaders: readonly string[]): number {
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  return bytes + 16 * rawHeaders.length;
}
