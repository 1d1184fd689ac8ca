/** An answer of JSON lines that come one by one. It is made as fast as it is taken; nothing piles up for a slow reader. */
import { httpLimits } from '../limits.ts';

const chunkCharactersMin = 16 * 1024; // ours: what is there at once goes together

export interface LineStreamOptions {
  /** A line may be long in coming: an empty one now and then shows whether anybody reads. */
  readonly isLive: boolean;
  /** Called once, however it ends. */
  readonly onEnd?: () => void;
}

/** @param lines  ends when `signal` aborts, which it does when the reader is gone */
export function lineStream(
  lines: (signal: AbortSignal) => AsyncGenerator<string>,
  { isLive, onEnd = () => {} }: LineStreamOptions,
): Response {
  const gone = new AbortController();
  const source = lines(gone.signal);
  let next: Promise<IteratorResult<string>> | undefined;
  let isOver = false;
  const end = async () => {
    if (isOver) return;
    isOver = true;
    gone.abort();
    onEnd();
    await source.return(undefined);
  };
  /** The next line; an empty one when it is long in coming, undefined when there are no more. */
  const nextLine = async (): Promise<string | undefined> => {
    next ??= source.next();
    const result = isLive ? await orBeat(next) : await next;
    if (result === 'beat') return '';
    next = undefined;
    return result.done ? undefined : result.value;
  };
  const fill = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    let text = '';
    do {
      const line = await nextLine();
      if (line === undefined) {
        if (text !== '') controller.enqueue(Buffer.from(text));
        controller.close();
        return end();
      }
      text += `${line}\n`;
    } while (!isLive && text.length < chunkCharactersMin);
    controller.enqueue(Buffer.from(text));
  };
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>) =>
    fill(controller).catch(async error => {
      await end();
      throw error;
    });
  const body = new ReadableStream<Uint8Array>({ pull, cancel: end });
  return new Response(body, { headers: { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' } });
}

function orBeat<Result>(next: Promise<Result>): Promise<Result | 'beat'> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve('beat'), httpLimits.feedHeartbeatMs);
    next.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
