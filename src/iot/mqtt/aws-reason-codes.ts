import type { BrokerLimits } from './broker-limits.ts';
import { reasonCodes } from './packets.ts';

/** Codes of the standard that AWS IoT Core does not list ("MQTT 5 reason codes"), and what it says in their place. */
const saidInstead: ReadonlyMap<number, number> = new Map([
  [reasonCodes.noSubscriptionExisted, reasonCodes.success],
  [reasonCodes.serverBusy, reasonCodes.quotaExceeded],
  [reasonCodes.badAuthenticationMethod, reasonCodes.notAuthorized],
  [reasonCodes.packetTooLarge, reasonCodes.quotaExceeded],
  [reasonCodes.messageRateTooHigh, reasonCodes.quotaExceeded],
]);

/** The code as a client that knows only AWS IoT Core's lists expects it, where the limits are AWS'. */
export function codeToSay(reasonCode: number, { saysAwsReasonCodes }: BrokerLimits): number {
  return saysAwsReasonCodes ? (saidInstead.get(reasonCode) ?? reasonCode) : reasonCode;
}
