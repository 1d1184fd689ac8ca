import { Reader } from './reader.ts';
import type { Parsed, Path } from './syntax.ts';

export function parseProjection(text: string): Parsed<readonly Path[]> {
  const reader = new Reader('ProjectionExpression', text);
  return reader.finish(reader.list(() => reader.path()));
}
