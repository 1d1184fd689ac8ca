import type { RequestHead } from './authorization.ts';

/** The content type without its parameters, in small letters; empty when there is none. */
export function mediaTypeOf({ headers }: RequestHead): string {
  const contentType = headers['content-type'] ?? '';
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}
