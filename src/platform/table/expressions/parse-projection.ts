import { Reader } from './reader.ts';
import type { Parsed, Path } from './syntax.ts';

export function parseProjection(text: string, isBounded = true): Parsed<readonly Path[]> {
  const reader = new Reader('ProjectionExpression', text, isBounded);
  return reader.finish(reader.list(() => reader.path()));
}
