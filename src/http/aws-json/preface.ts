/** Tells HTTP/2 from HTTP/1.1 by what a connection says first, as a client with prior knowledge does [RFC 9113 3.3]. */
import type { Socket } from 'node:net';
import type { Clock } from '../../kernel/clock.ts';
import { endpointLimits } from './limits.ts';

/** The beginning of the connection preface. HTTP/1.1 has no method of this name, so the rest is for HTTP/2 to check. */
const preface = Buffer.from('PRI ', 'latin1');

/**
 * Calls back once when it is clear, with nothing of the connection consumed; never for one that ends or says too little
 * for too long, which is closed.
 */
export function onceProtocolKnown(socket: Socket, clock: Clock, known: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const timer = clock.setTimer(endpointLimits.headersTimeoutMs, () => socket.destroy());
  const stop = () => {
    timer.cancel();
    socket.off('readable', look);
    socket.off('close', stop);
    socket.off('error', ignore);
  };
  const look = () => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) return; // It has ended.
    seen = Buffer.concat([seen, bytes]);
    const isPreface = seen.subarray(0, preface.length).equals(preface.subarray(0, seen.length));
    if (isPreface && seen.length < preface.length) return;
    stop();
    socket.unshift(seen);
    known(isPreface);
  };
  const ignore = () => {};
  socket.on('readable', look);
  socket.on('close', stop);
  socket.on('error', ignore);
}
