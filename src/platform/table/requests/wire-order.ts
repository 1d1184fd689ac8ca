import { compare } from '../values/value.ts';
import { wireFormat } from '../values/wire-format.ts';

/** Whether one value comes after another; not if they have no order. Both must have been checked. */
export function isAbove(left: unknown, right: unknown): boolean {
  const { item } = wireFormat.readItem({ left, right });
  return (compare(item.left, item.right) ?? 0) > 0;
}
