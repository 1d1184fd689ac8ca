import { reasonCodes } from './packets.ts';

/** What a Reason String says beside each code: for a person reading the client's log. Never holds what a client sent. */
const texts: ReadonlyMap<number, string> = new Map([
  [reasonCodes.unspecifiedError, 'the server failed; try again'],
  [reasonCodes.malformedPacket, 'the packet is malformed'],
  [reasonCodes.protocolError, 'the packet is not allowed here'],
  [reasonCodes.unsupportedProtocolVersion, 'this server speaks MQTT 3.1.1 and 5'],
  [reasonCodes.clientIdentifierNotValid, 'the client identifier is not allowed here'],
  [reasonCodes.badUserNameOrPassword, 'the user name or password is wrong'],
  [reasonCodes.notAuthorized, 'the policy does not allow this'],
  [reasonCodes.serverBusy, 'the server is busy; try again later'],
  [reasonCodes.serverShuttingDown, 'the server is shutting down; connect again'],
  [reasonCodes.badAuthenticationMethod, 'enhanced authentication is not available'],
  [reasonCodes.keepAliveTimeout, 'nothing came for 1.5 times the keep alive'],
  [reasonCodes.sessionTakenOver, 'another connection uses this client identifier'],
  [reasonCodes.topicFilterInvalid, 'the topic filter is not valid here'],
  [reasonCodes.topicNameInvalid, 'the topic is not valid here'],
  [reasonCodes.packetIdentifierInUse, 'the packet identifier is in use'],
  [reasonCodes.packetIdentifierNotFound, 'nothing is in flight under this packet identifier'],
  [reasonCodes.receiveMaximumExceeded, 'more messages in flight than the receive maximum'],
  [reasonCodes.topicAliasInvalid, 'the topic alias is unknown or above the maximum'],
  [reasonCodes.packetTooLarge, 'the packet is larger than the maximum packet size'],
  [reasonCodes.messageRateTooHigh, 'messages come faster than allowed'],
  [reasonCodes.quotaExceeded, 'a quota is used up; try again later'],
  [reasonCodes.administrativeAction, 'ended by the administrator'],
  [reasonCodes.payloadFormatInvalid, 'the payload is not the UTF-8 text it claims to be'],
  [reasonCodes.qosNotSupported, 'this quality of service is not available'],
  [reasonCodes.subscriptionIdentifiersNotSupported, 'subscription identifiers are not available'],
]);

/** Properties with the text for a negative code; undefined for others, and for those that speak for themselves. */
export function reasonStringOf(reasonCode: number): { reasonString: string } | undefined {
  const reasonString = reasonCode >= 0x80 ? texts.get(reasonCode) : undefined;
  return reasonString === undefined ? undefined : { reasonString };
}
