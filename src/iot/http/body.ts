import type { Readable } from 'node:stream';
import { overloaded, payloadTooLarge } from './errors.ts';
import { dataPlaneLimits } from './limits.ts';

/** The client has left before it had said everything: there is nobody to answer. */
export class ClientGone extends Error {}

/** Bodies that are being received, within what all of them may take together. */
export class Bodies {
  #bytes = 0;

  /** All of it. Throws `iot.payloadTooLarge`, `iot.overloaded` as soon as it is clear, and `ClientGone`. */
  read(request: Readable, announcedBytes: string | undefined, bytesMax: number): Promise<Buffer> {
    if (announcedBytes !== undefined && Number(announcedBytes) > bytesMax) throw payloadTooLarge(bytesMax);
    if (this.#bytes >= dataPlaneLimits.bodiesBytesMax) throw overloaded();
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const settle = (act: () => void) => {
        request.off('data', take).off('end', end).off('close', gone).pause();
        this.#bytes -= bytes;
        act();
      };
      const take = (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        this.#bytes += chunk.length;
        if (bytes > bytesMax) settle(() => reject(payloadTooLarge(bytesMax)));
        else if (this.#bytes > dataPlaneLimits.bodiesBytesMax) settle(() => reject(overloaded()));
      };
      const end = () => settle(() => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, bytes)));
      const gone = () => settle(() => reject(new ClientGone()));
      request.on('data', take).once('end', end).once('close', gone);
      if (request.destroyed) gone();
    });
  }
}

/**
 * Lets a body that nobody wants run out, so that its sender comes to read the answer and the connection can be used
 * again; a long one is cut off (hostile H02).
 */
export function discardRest(request: Readable): void {
  if (request.readableEnded || request.destroyed) return;
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > dataPlaneLimits.discardedBytesMax) request.destroy();
  });
  request.resume();
}
