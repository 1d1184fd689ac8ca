import assert from 'node:assert/strict';
import type { ListenDeadlines } from './sockets.ts';

/** What a connection may take before MQTT or an HTTP handler takes over, and what a WebSocket may take after that. */
export const listenLimits = {
  handshakeMs: 10_000, // ours: the whole of the time that MQTT gives from accepting to an accepted CONNECT
  proxyHeaderMs: 5_000, // ours: the proxy writes it with the first bytes
  requestHeadersMs: 10_000, // ours; Node's default is 60 s
  requestMs: 30_000, // ours, headers and body; Node's default is 300 s
  requestHeaderBytesMax: 16 * 1024, // Node's default
  requestIdleMs: 60_000, // ours: a client that neither sends nor takes the answer
  requestsPerConnectionMax: 1_000, // ours
  keepAliveMs: 5_000, // Node's default: how long an idle HTTP connection waits for the next request
  proxyHeaderTextBytesMax: 107, // PROXY protocol 2.1: the longest line of version 1
  proxyHeaderBytesMax: 4 * 1024, // ours: version 2 with its TLVs; the protocol allows 64 KiB
  webSocketMessageBytesMax: (256 + 64) * 1024, // ours: the largest MQTT packet, and what a client sends along with it
  webSocketFragmentsMax: 1_024, // ours: of one message; the default of ws is 16,384
  webSocketChunksMax: 4_096, // ours: reads that one frame may take; the default of ws is 262,144
  webSocketCloseMs: 5_000, // ours; the default of ws is 30 s
  webSocketPingMs: 30_000, // ours: a half-open connection is found within 60 s
} as const;

assert(listenLimits.proxyHeaderMs <= listenLimits.handshakeMs); // It is a part of the handshake.
assert(listenLimits.requestHeadersMs <= listenLimits.requestMs); // Node refuses to open a server otherwise.

export function deadlinesOf(chosen: Partial<ListenDeadlines> | undefined): ListenDeadlines {
  return { ...listenLimits, ...chosen };
}
