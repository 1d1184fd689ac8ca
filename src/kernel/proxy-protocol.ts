/**
 * The header that a proxy puts in front of a connection to tell whose it is, as "The PROXY protocol, versions 1 & 2"
 * (HAProxy) defines it. What the header says beyond the address (TLVs) is skipped.
 */
import net from 'node:net';
import { canonicalAddress } from './addresses.ts';
import { noBytes } from './bytes.ts';
import { listenLimits } from './listen-limits.ts';

export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'refused'; readonly detail: string }
  | {
      readonly kind: 'header';
      readonly byteLength: number;
      /** Undefined when the proxy speaks for itself or cannot tell: the connection's own address counts. */
      readonly sourceAddress: string | undefined;
    };

const textPrefix = Buffer.from('PROXY ');
const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const fixedBytes = signature.length + 4; // version and command, family, length
const incomplete: ProxyHeader = { kind: 'incomplete' };

export function decodeProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsAlike(bytes, signature)) return bytes.length < fixedBytes ? incomplete : decodeBinary(bytes);
  if (startsAlike(bytes, textPrefix)) return bytes.length < textPrefix.length ? incomplete : decodeText(bytes);
  return refused('no header');
}

/** As far as there is something of both. */
function startsAlike(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length);
  return bytes.compare(prefix, 0, length, 0, length) === 0;
}

function decodeText(bytes: Buffer): ProxyHeader {
  const text = bytes.toString('latin1', 0, listenLimits.proxyHeaderTextBytesMax);
  const end = text.indexOf('\r\n');
  if (end < 0) return text.length < listenLimits.proxyHeaderTextBytesMax ? incomplete : refused('line too long');
  const byteLength = end + 2;
  const [, family, source, destination, ...ports] = text.slice(0, end).split(' ');
  if (family === 'UNKNOWN') return { kind: 'header', byteLength, sourceAddress: undefined };
  const isAddress = family === 'TCP4' ? net.isIPv4 : family === 'TCP6' ? net.isIPv6 : undefined;
  if (!isAddress) return refused('family not known');
  const isComplete = isAddress(source) && isAddress(destination ?? '') && ports.length === 2 && ports.every(isPort);
  if (!isComplete || source.includes('%')) return refused('address not valid');
  return { kind: 'header', byteLength, sourceAddress: canonicalAddress(source) };
}

function isPort(text: string): boolean {
  return /^(0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535;
}

const commands = { local: 0x20, proxy: 0x21 } as const;

function decodeBinary(bytes: Buffer): ProxyHeader {
  const command = bytes[signature.length];
  const family = bytes[signature.length + 1];
  const payloadBytes = bytes.readUInt16BE(signature.length + 2);
  if (command !== commands.local && command !== commands.proxy) return refused('version or command not known');
  const byteLength = fixedBytes + payloadBytes;
  if (byteLength > listenLimits.proxyHeaderBytesMax) return refused('header too long');
  if (bytes.length < byteLength) return incomplete;
  if (command === commands.local) return { kind: 'header', byteLength, sourceAddress: undefined };
  const payload = bytes.subarray(fixedBytes, byteLength);
  switch (family) {
    case 0x00: // unspecified
      return { kind: 'header', byteLength, sourceAddress: undefined };
    case 0x11: // TCP over IPv4
      if (payloadBytes < 12) return refused('address cut off');
      return { kind: 'header', byteLength, sourceAddress: payload.subarray(0, 4).join('.') };
    case 0x21: // TCP over IPv6
      if (payloadBytes < 36) return refused('address cut off');
      return { kind: 'header', byteLength, sourceAddress: ipv6Of(payload.subarray(0, 16)) };
    case 0x31: // a socket in the file system, which has no address to count
      if (payloadBytes < 216) return refused('address cut off');
      return { kind: 'header', byteLength, sourceAddress: undefined };
    default:
      return refused('family not known');
  }
}

function ipv6Of(bytes: Buffer): string {
  return canonicalAddress((bytes.toString('hex').match(/.{4}/g) ?? []).join(':'));
}

function refused(detail: string): ProxyHeader {
  return { kind: 'refused', detail };
}

export class ProxyHeaderRefused extends Error {}

/**
 * Reads the header off `socket` and leaves what follows it to be read.
 * @returns the address it tells. Rejects with `ProxyHeaderRefused`, after which `socket` is of no use.
 */
export function readProxyHeader(socket: net.Socket, deadlineMs: number): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  let bytes: Buffer = noBytes;
  const stop = () => {
    clearTimeout(deadline);
    socket.off('readable', read).off('end', ended).off('close', ended);
  };
  const refuse = (detail: string) => {
    stop();
    reject(new ProxyHeaderRefused(detail));
  };
  const ended = () => refuse('closed before the end of the header');
  const read = () => {
    const chunk: Buffer | null = socket.read(); // No encoding is set, so these are bytes.
    if (!chunk) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const header = decodeProxyHeader(bytes);
    if (header.kind === 'incomplete') return;
    if (header.kind === 'refused') return refuse(header.detail);
    stop();
    const rest = bytes.subarray(header.byteLength);
    if (rest.length > 0) socket.unshift(rest);
    // Only then is the stream as if nobody had read from it: Node undoes the effects of `readable` in a tick.
    process.nextTick(resolve, header.sourceAddress);
  };
  const deadline = setTimeout(() => refuse('not in time'), deadlineMs);
  socket.on('readable', read).on('end', ended).on('close', ended);
  return promise;
}
