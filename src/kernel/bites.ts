import assert from 'node:assert/strict';

/** Runs a promise with one defence taken away and expects it to be broken: the test of the promise bites. Tests only. */
export async function bites(
  target: object,
  name: PropertyKey,
  replacement: PropertyDescriptor,
  promise: () => Promise<void>,
): Promise<void> {
  const before = Object.getOwnPropertyDescriptor(target, name);
  assert(before, `there is no ${String(name)}`);
  Object.defineProperty(target, name, { configurable: true, ...replacement });
  try {
    await assert.rejects(promise, assert.AssertionError);
  } finally {
    Object.defineProperty(target, name, before);
  }
}
