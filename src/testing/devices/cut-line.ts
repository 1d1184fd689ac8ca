/** A line to the gateway that a test can cut in the middle of what is being sent. */
import type { ListenAddress, Listener, Socket, Sockets } from '../../kernel/sockets.ts';

export class CutLine implements Sockets {
  readonly #sockets: Sockets;
  #bytesLeft = Number.POSITIVE_INFINITY;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  /** So many more bytes leave the device, then its power is gone. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  async connect(address: { host: string; port: number }): Promise<Socket> {
    this.#bytesLeft = Number.POSITIVE_INFINITY;
    const socket = await this.#sockets.connect(address);
    return {
      remoteAddress: socket.remoteAddress,
      get bufferedBytes() {
        return socket.bufferedBytes;
      },
      start: events => socket.start(events),
      write: bytes => this.#write(socket, bytes),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      end: () => socket.end(),
      destroy: () => socket.destroy(),
    };
  }

  listen(address: ListenAddress, accept: (socket: Socket) => void): Promise<Listener> {
    return this.#sockets.listen(address, accept);
  }

  #write(socket: Socket, bytes: Uint8Array): void {
    const part = bytes.subarray(0, this.#bytesLeft);
    this.#bytesLeft -= part.length;
    if (part.length > 0) socket.write(part);
    if (part.length < bytes.length) socket.destroy();
  }
}
