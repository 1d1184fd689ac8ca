import type { IncomingMessage } from 'node:http';
import type { WebSocketOptions } from './sockets.ts';

/** RFC 9457 problem details. */
export interface Problem {
  readonly status: number;
  readonly title: string;
  readonly code: string;
  readonly detail: string;
  readonly fix: string;
}

export const problems = {
  failed: {
    status: 500,
    title: 'Internal Server Error',
    code: 'http.failed',
    detail: 'Something went wrong on our side.',
    fix: 'Try again; if it stays, look into the log of the server.',
  },
  noSuchPath: {
    status: 404,
    title: 'Not Found',
    code: 'http.noSuchPath',
    detail: 'Nothing is served at this path.',
    fix: 'Check the path and the method; MQTT clients connect with WebSocket.',
  },
  headersTooLarge: {
    status: 431,
    title: 'Request Header Fields Too Large',
    code: 'http.headersTooLarge',
    detail: 'The headers are over 16 KiB.',
    fix: 'Send fewer or shorter headers.',
  },
  notInTime: {
    status: 408,
    title: 'Request Timeout',
    code: 'http.notInTime',
    detail: 'The request did not arrive within the time it is given.',
    fix: 'Send headers within 10 seconds and the whole request within 30.',
  },
  notValid: {
    status: 400,
    title: 'Bad Request',
    code: 'http.notValid',
    detail: 'This is not a request of HTTP/1.1.',
    fix: 'Check that the client speaks HTTP to this port, and TLS only where the port does.',
  },
  upgradeNotValid: {
    status: 400,
    title: 'Bad Request',
    code: 'websocket.upgradeNotValid',
    detail: 'The request for a WebSocket is not one of RFC 6455, version 13.',
    fix: 'Connect with a WebSocket client, and with a proxy that passes on Upgrade and Connection.',
  },
  pathNotServed: {
    status: 404,
    title: 'Not Found',
    code: 'websocket.pathNotServed',
    detail: 'There is no WebSocket at this path.',
    fix: 'Connect to /mqtt.',
  },
  originNotAllowed: {
    status: 403,
    title: 'Forbidden',
    code: 'websocket.originNotAllowed',
    detail: 'Pages of this origin may not connect.',
    fix: 'Add the origin to those that the listener allows, or serve the page from the same host.',
  },
  subprotocolMissing: {
    status: 400,
    title: 'Bad Request',
    code: 'websocket.subprotocolMissing',
    detail: 'The client does not offer the subprotocol mqtt.',
    fix: 'Offer "Sec-WebSocket-Protocol: mqtt", as MQTT clients do by themselves.',
  },
} as const satisfies Record<string, Problem>;

const defaultPaths = ['/mqtt', '/'];
/** In the order of preference; the second is what clients of MQTT 3.1 ask for. */
const subprotocols = ['mqtt', 'mqttv3.1'];

/** Whether a request may become a WebSocket for MQTT; its form is for the library to judge. */
export function judgeUpgrade(
  { url, headers }: Pick<IncomingMessage, 'url' | 'headers'>,
  { paths = defaultPaths, origins }: WebSocketOptions,
): Problem | undefined {
  if (!paths.includes(pathOf(url))) return problems.pathNotServed;
  if (!isOriginAllowed(headers.origin, headers.host, origins)) return problems.originNotAllowed;
  // The library would take version 8 as well, in which Origin has another name.
  if (headers['sec-websocket-version'] !== '13') return problems.upgradeNotValid;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map(name => name.trim());
  if (!chooseSubprotocol(new Set(offered))) return problems.subprotocolMissing; // [MQTT5 6.0.0-3] [MQTT311 6.0.0-3]
  return undefined;
}

/** [MQTT5 6.0.0-4] [MQTT311 6.0.0-4] */
export function chooseSubprotocol(offered: ReadonlySet<string>): string | false {
  return subprotocols.find(name => offered.has(name)) ?? false;
}

function pathOf(url = ''): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/** Browsers always send Origin, so that a page of somebody else cannot use what its visitor may (hostile X01). */
function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[] | undefined,
): boolean {
  if (origin === undefined) return true;
  if (allowed) return allowed.includes(origin);
  const from = hostnameOf(origin);
  return from !== undefined && from === hostnameOf(`http://${host}`);
}

function hostnameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname || undefined : undefined;
}
