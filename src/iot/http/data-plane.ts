import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { Peer, RequestHandler } from '../../kernel/sockets.ts';
import type { Identity } from '../access/port.ts';
import { isTopicOverLimit } from '../mqtt/connect.ts';
import type { GatewayCore } from '../mqtt/gateway.ts';
import type { Session } from '../mqtt/session.ts';
import { isTopicName } from '../mqtt/topics.ts';
import { type Answer, errorAnswer, okAnswer, pendingBody, retainedJson, writeAnswer } from './answer.ts';
import { Bodies, ClientGone, discardRest } from './body.ts';
import { authenticate } from './credentials.ts';
import {
  DataPlaneError,
  failed,
  forbidden,
  methodNotAllowed,
  noSuchPath,
  notRetained,
  originNotAllowed,
  overloaded,
  parameterNotValid,
  shuttingDown,
  throttled,
  topicNotValid,
} from './errors.ts';
import { Hold, type Pending } from './hold.ts';
import { dataPlaneLimits } from './limits.ts';
import { acknowledge, type MailboxCall, openMailbox, readMailboxCall } from './mailbox.ts';
import { type PublicationHead, readPublicationHead } from './publication.ts';
import { judgeHead, payloadBytesMax, publishAs, toPublication } from './publishing.ts';
import { Senders } from './senders.ts';
import { decodeOnce, readTarget, type Target } from './target.ts';

/** What a request is to us: as much of Node's as we look at. */
export type IncomingCall = Pick<IncomingMessage, 'method' | 'url' | 'headers'> & Readable;

const topicsPrefix = '/topics/';
const retainedPrefix = '/retainedMessage/';

/** For `onRequest` of a listener: the HTTP data plane of AWS IoT Core, as far as the README lists it. */
export function makeDataPlane(core: GatewayCore): RequestHandler {
  const dataPlane = new DataPlane(core);
  return async (request, response, peer) => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    request.on('error', () => {}); // That the client has left is told by 'close', too.
    const answer = await dataPlane.answer(request, peer, gone.signal);
    if (!answer) return;
    writeAnswer(response, answer);
    discardRest(request);
  };
}

/** Publishing for clients without a connection, and what waits for them in the answer. Takes no port of its own. */
export class DataPlane {
  readonly #core: GatewayCore;
  readonly #bodies = new Bodies();
  readonly #senders: Senders;
  readonly #waiting = new Set<Hold>();

  constructor(core: GatewayCore) {
    this.#core = core;
    this.#senders = new Senders(core);
    core.closing.addEventListener('abort', () => {
      for (const hold of this.#waiting) hold.end();
    });
  }

  /** Undefined when the client has left meanwhile. Never rejects. `gone` tells that it leaves while it is to wait. */
  async answer(call: IncomingCall, peer: Peer, gone?: AbortSignal): Promise<Answer | undefined> {
    const traceId = this.#newTraceId();
    try {
      return await this.#answer(call, peer, traceId, gone);
    } catch (error) {
      if (error instanceof ClientGone) return undefined;
      const refusal = error instanceof DataPlaneError ? error : failed();
      const facts = { traceId, remoteAddress: peer.remoteAddress, code: refusal.code };
      this.#core.counts.add(`http.refused.${refusal.code}`);
      if (refusal === error) this.#core.log.warn(facts, 'A request was refused.');
      else this.#core.log.warn({ ...facts, cause: codeOf(error), error: messageOf(error) }, 'A request failed.');
      return errorAnswer(refusal, traceId);
    }
  }

  async #answer(call: IncomingCall, peer: Peer, traceId: string, gone?: AbortSignal): Promise<Answer> {
    if (this.#core.closing.aborted) throw shuttingDown();
    const target = readTarget(call.url);
    const { path } = target;
    if (isFromAnotherSite(call.headers)) throw originNotAllowed();
    if (path.startsWith(topicsPrefix)) {
      if (call.method !== 'POST') throw methodNotAllowed('POST');
      return this.#publish(call, target, peer, traceId, gone);
    }
    if (path.startsWith(retainedPrefix)) {
      if (call.method !== 'GET') throw methodNotAllowed('GET');
      return this.#readRetained(call, target, peer);
    }
    throw noSuchPath();
  }

  /** The order is the documentation: nothing is kept before all that can be refused is known. */
  async #publish(
    call: IncomingCall,
    { path, parameters }: Target,
    peer: Peer,
    traceId: string,
    gone: AbortSignal | undefined,
  ): Promise<Answer> {
    const core = this.#core;
    const head = readPublicationHead(path.slice(topicsPrefix.length), parameters, call.headers);
    const mailboxCall = readMailboxCall(parameters);
    if (mailboxCall.pendingMax !== undefined && core.access.assignsClientIds && !parameters.find('clientId')) {
      throw parameterNotValid('clientId', 'a mailbox is found again by it');
    }
    const admit = () => authenticate(core, call.headers, parameters, peer);
    let identity = await admit();
    judgeHead(core, identity, head);
    const admittedAtMs = core.clock.monotonicMs();
    const payload = await this.#bodies.read(call, call.headers['content-length'], payloadBytesMax(core));
    if (core.clock.monotonicMs() - admittedAtMs > dataPlaneLimits.admissionMs) identity = await admit();
    return this.#act(identity, head, mailboxCall, payload, peer, traceId, gone);
  }

  /** From here to the last step everything happens in one turn, so that what was judged is what is done. */
  async #act(
    identity: Identity,
    head: PublicationHead,
    mailboxCall: MailboxCall,
    payload: Buffer,
    { remoteAddress }: Peer,
    traceId: string,
    gone: AbortSignal | undefined,
  ): Promise<Answer> {
    const core = this.#core;
    if (core.closing.aborted) throw shuttingDown();
    if (core.ingest.isSaturated) throw overloaded();
    const verdict = judgeHead(core, identity, head);
    const known = core.broker.sessionOf(identity);
    const publication = toPublication(head, payload);
    if (!this.#senders.isWithinRates(identity, remoteAddress, publication.byteLength)) {
      core.counts.add('mqtt.refused.rate');
      throw throttled();
    }
    const isConnected = core.broker.connectionOf(identity.clientId) !== undefined;
    if (known && !isConnected) acknowledge(core, known, mailboxCall.acks);
    const mailbox = mailboxCall.pendingMax === undefined ? undefined : openMailbox(core, identity, mailboxCall);
    const from = mailbox ?? known;
    const pending = mailbox && this.#gather(mailbox, mailboxCall, gone);
    // In the stream the post stands before the event of the mailbox, which waits to be stored: so the answer to a command
    // ends it before the app hears that the thing is there and would send it again.
    const published = publishAs(core, identity, verdict, publication, from);
    const [gathered] = await Promise.all([pending, published]);
    const said = { message: 'OK', traceId };
    if (mailboxCall.pendingMax === undefined) return okAnswer(said);
    if (gathered) return okAnswer({ ...said, ...pendingBody(gathered, core.nowMs()) });
    // Somebody else with this client id gets it: a connection, or a later request.
    return okAnswer({ ...said, pending: [], more: false, takenOver: true });
  }

  #gather(
    mailbox: Session,
    { pendingMax = 1, waitMs }: MailboxCall,
    gone: AbortSignal | undefined,
  ): Promise<Pending | undefined> {
    // Without an app there is nobody who learns from the request that the device is there.
    const waitMsDefault = this.#core.ingest.hasStream ? dataPlaneLimits.waitMsDefault : 0;
    return Hold.gather(this.#core, mailbox, {
      messagesMax: pendingMax,
      waitMs: waitMs ?? waitMsDefault,
      waiting: this.#waiting,
      gone,
    });
  }

  /** Whoever may subscribe to a topic may look at what is retained of it. */
  async #readRetained(call: IncomingCall, { path, parameters }: Target, peer: Peer): Promise<Answer> {
    const core = this.#core;
    const topic = decodeOnce(path.slice(retainedPrefix.length));
    if (!isTopicName(topic) || isTopicOverLimit(topic, core.limits)) throw topicNotValid();
    const identity = await authenticate(core, call.headers, parameters, peer);
    const { access } = core;
    if (!access.maySubscribe(identity, topic) || !access.mayReceive(identity, topic)) throw forbidden();
    const message = core.router.retained.find(topic, core.nowMs());
    if (!message) throw notRetained();
    return okAnswer(retainedJson(message, core.nowMs()));
  }

  /** A random UUID, RFC 9562 version 4. */
  #newTraceId(): string {
    const bytes = this.#core.random.bytes(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Buffer.from(bytes).toString('hex');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }
}

/**
 * Browsers say in Origin whose page asks. Programs send none and are let in; a page of somebody else must not use what its
 * visitor may, be it by a remembered password or by being on this machine (hostile U02, X01).
 */
function isFromAnotherSite({ origin, host }: IncomingHttpHeaders): boolean {
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase();
}
