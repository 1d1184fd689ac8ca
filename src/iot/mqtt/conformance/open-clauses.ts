/**
 * What is owed: clauses this broker must prove and that no test proves yet, and citations that name no clause. The lists
 * may only shrink: conformance.test.ts fails when one of them is not true any more, in either direction. Where a test
 * waits (`todo`), taking the mark away and the clauses out of here is one change.
 */
export const openClausesKnown: readonly string[] = [
  // TCP and WebSocket.
  'MQTT311 7.0.0-2',
  'MQTT311 7.1.1-1',
  'MQTT5 4.2.0-1',
];

export const mistakenCitationsKnown: readonly string[] = [];
