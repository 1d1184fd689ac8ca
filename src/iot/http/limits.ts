import assert from 'node:assert/strict';
import { listenLimits } from '../../kernel/listen-limits.ts';
import { mqttLimits } from '../mqtt/limits.ts';

/** Every bound of publishing over HTTP, once. What a connection and its headers may take is in `listenLimits`. */
export const dataPlaneLimits = {
  parametersMax: 64, // ours: of one query; eight are known
  filtersMax: 32, // ours, of one request: as many as one SUBSCRIBE may have
  pendingMessagesMax: 100, // ours: in flight to one client, as over MQTT
  pendingBytesMax: 1024 * 1024, // ours: payloads of one answer before base64; one message always may
  waitMsMax: 20_000, // ours: well below the minute after which an idle connection is closed
  waitMsDefault: 500, // ours: an app answers within some 50 ms; where there is none, nothing is waited for
  lingerMs: 200, // ours: after one message, for those that follow it
  heldMax: 10_000, // ours: answers that wait; beyond it they are given at once
  bodiesBytesMax: 64 * 1024 * 1024, // ours: being received in all requests together
  discardedBytesMax: 1024 * 1024, // ours: of a body nobody wants, so that its sender can read why
  sendersMax: 10_000, // ours: whose rates are remembered; the one longest silent goes first
  admissionMs: 1_000, // a body that took longer is let in anew: rights may have changed (hostile A08)
} as const;

assert(dataPlaneLimits.waitMsMax < listenLimits.requestIdleMs);
assert(mqttLimits.packetBytesMax <= dataPlaneLimits.pendingBytesMax);
assert(mqttLimits.packetBytesMax < dataPlaneLimits.bodiesBytesMax);
