import net from 'node:net';

const mappedPrefix = '::ffff:';

/** One spelling per address, so that it can be compared and counted; anything but an address stays as it is. */
export function canonicalAddress(address: string): string {
  if (!address.includes(':')) return address;
  const [bare] = address.split('%', 1); // A link-local address names the interface behind it.
  if (!net.isIPv6(bare)) return bare;
  const { address: canonical } = new net.SocketAddress({ address: bare, family: 'ipv6' });
  const mapped = canonical.startsWith(mappedPrefix) ? canonical.slice(mappedPrefix.length) : '';
  return net.isIPv4(mapped) ? mapped : canonical; // What a dual-stack socket calls an IPv4 client.
}

/** What one party holds for sure: an IPv4 address, or the /64 of an IPv6 address, which has 2^64 (hostile H13). */
export function addressGroup(canonical: string): string {
  if (!net.isIPv6(canonical)) return canonical;
  const [left, right] = canonical.split('::');
  const leading = left === '' ? [] : left.split(':');
  const trailing = right ? right.split(':') : [];
  const zeros = right === undefined ? 0 : 8 - leading.length - trailing.length;
  const groups = [...leading, ...Array<string>(zeros).fill('0'), ...trailing];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** How many connections each address has, within a limit. */
export class AddressCap {
  readonly #max: number;
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts `socket` until it closes. @returns false if the address has as many as it may */
  admit(socket: net.Socket, canonical: string): boolean {
    if (socket.closed) return true; // It counts no more, and would never be released.
    const group = addressGroup(canonical);
    const count = this.#counts.get(group) ?? 0;
    if (count >= this.#max) return false;
    this.#counts.set(group, count + 1);
    socket.once('close', () => this.#release(group));
    return true;
  }

  /** As many as have connections now. */
  get addresses(): number {
    return this.#counts.size;
  }

  #release(group: string): void {
    const count = this.#counts.get(group) ?? 0;
    if (count > 1) this.#counts.set(group, count - 1);
    else this.#counts.delete(group);
  }
}
