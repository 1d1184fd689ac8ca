import type { IncomingHttpHeaders } from 'node:http';
import type { Peer } from '../../kernel/sockets.ts';
import type { Identity } from '../access/port.ts';
import type { GatewayCore } from '../mqtt/gateway.ts';
import { mqttLimits } from '../mqtt/limits.ts';
import { isMqttString, isMqttText } from '../mqtt/utf8.ts';
import { decodeBase64 } from './base64.ts';
import { overloaded, parameterNotValid, unauthorized } from './errors.ts';
import type { Parameters } from './target.ts';

interface Credentials {
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
}

const anonymous: Credentials = { username: undefined, password: undefined };

/** Beside what the device may have open over MQTT, so that posting takes over no connection. */
const suffix = '.http';

/**
 * Asks the one authority behind every door (hostile A07): a user name and password as HTTP Basic, or the certificate that
 * the TLS listener has verified. Throws `iot.unauthorized`, `iot.overloaded`, `iot.parameterNotValid`.
 */
export async function authenticate(
  { access, random }: Pick<GatewayCore, 'access' | 'random'>,
  headers: IncomingHttpHeaders,
  parameters: Parameters,
  { remoteAddress, certificate }: Peer,
): Promise<Identity> {
  const credentials = readCredentials(headers.authorization);
  const asked = parameters.find('clientId');
  if (asked !== undefined) checkClientId(asked);
  const named = credentials.username ?? certificate?.commonName;
  const random12 = () => Buffer.from(random.bytes(12)).toString('base64url');
  // Where clients are things, the id names the thing; elsewhere anybody may have any.
  const clientId = asked ?? (access.assignsClientIds ? `http-${random12()}` : `${named ?? ''}${suffix}`);
  const admission = await access.authenticate({ ...credentials, clientId, certificate, remoteAddress });
  if (admission.admitted) return admission.identity;
  if (admission.reason === 'serverBusy') throw overloaded();
  throw unauthorized(); // Whatever it was: a stranger is not told what would have been right.
}

/** RFC 7617. Another scheme is nobody's credentials. */
function readCredentials(authorization: string | undefined): Credentials {
  if (authorization === undefined) return anonymous;
  const [, encoded] = /^Basic +([A-Za-z0-9+/=]*)$/i.exec(authorization) ?? [];
  const bytes = encoded === undefined ? undefined : decodeBase64(encoded);
  const colon = bytes?.indexOf(0x3a) ?? -1;
  if (!bytes || colon < 0 || !isMqttText(bytes, 0, colon)) throw unauthorized();
  return { username: bytes.toString('utf8', 0, colon), password: bytes.subarray(colon + 1) };
}

/** As CONNECT has it. */
function checkClientId(clientId: string): void {
  const isValid = clientId !== '' && !clientId.startsWith('$') && isMqttString(clientId);
  if (isValid && Buffer.byteLength(clientId) <= mqttLimits.clientIdBytesMax) return;
  throw parameterNotValid('clientId', `it has 1 to ${mqttLimits.clientIdBytesMax} bytes and does not begin with $`);
}
