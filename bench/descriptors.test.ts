import assert from 'node:assert/strict';
import { it } from 'node:test';
import { descriptorsMax, fitConnections } from './descriptors.ts';

it('takes as many connections as wanted where there is room, and says nothing', () => {
  assert.deepEqual(fitConnections(10_000, 20_000), { connections: 10_000, notes: [] });
  assert.deepEqual(fitConnections(10_000, Number.POSITIVE_INFINITY), { connections: 10_000, notes: [] });
});

it('takes fewer where the system allows fewer descriptors, and says so', () => {
  const { connections, notes } = fitConnections(10_000, 4_096);
  assert.equal(connections, 3_596);
  assert.match(notes.join(), /3596 connections instead of 10000: the system allows 4096 descriptors/);
});

it('asks the system for its limit', () => {
  assert(descriptorsMax() > 0);
});
