/** A device as a test has it: registered, connected over MQTT, sending what the model says, doing what it is told. */
import { commandTopic, problemsOf, telemetryTopic } from '../../app/index.ts';
import { MqttClient } from '../../device/index.ts';
import type { ThingCredentials } from '../../iot/port.ts';
import { delay } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import { deviceOffline, payloadNotValid, unexpected } from '../errors.ts';
import { Evidence } from '../evidence/evidence.ts';
import { type Expected, isAsExpected } from '../evidence/matching.ts';
import { payloadOf } from '../evidence/messages.ts';
import { testingLimits } from '../limits.ts';
import type {
  CommandName,
  ContextName,
  ModelParts,
  PayloadOf,
  RequestOf,
  ResponseOf,
  TypeName,
} from '../model-types.ts';
import { requestOn } from '../request-topics.ts';
import { type Duration, durationMs } from '../world/durations.ts';
import { type AnswerOptions, CommandAnswers } from './command-answers.ts';
import { CutLine } from './cut-line.ts';
import type { DevicePlace } from './device-place.ts';

export interface ConnectOptions {
  /** The broker keeps its subscriptions and what it misses while it is away, for an hour. Default: not. */
  readonly keepsSession?: boolean;
}

export interface ReceivedMessage {
  readonly topic: string;
  /** As JSON, if it is JSON; else as text, if it is text; else the bytes. */
  readonly payload: unknown;
}

/** A request that was expected and has come. */
export interface ExpectedRequest<M extends ModelParts, Command extends CommandName<M>> {
  readonly request: RequestOf<M['commands'][Command]>;
  /** Resolves when the backend has acknowledged the answer. */
  respond(response: ResponseOf<M['commands'][Command]>): Promise<void>;
}

const keptSessionSeconds = 3_600; // ours
const connectsApartMs = 1_000; // AWS IoT Core: one CONNECT of a client per second

export class VirtualDevice<M extends ModelParts = ModelParts> {
  readonly thingName: string;
  readonly #place: DevicePlace<M>;
  readonly #credentials: ThingCredentials;
  readonly #line: CutLine;
  readonly #answers: CommandAnswers;
  readonly #messages: ReceivedMessage[] = [];
  /** Requests of `#answers.received` that a test has expected. */
  readonly #expected = new Set<object>();
  #client: MqttClient | undefined;
  #connectedAtMs = Number.NEGATIVE_INFINITY;
  #skewMs = 0;

  constructor(place: DevicePlace<M>, credentials: ThingCredentials) {
    const { clock } = place;
    this.#place = place;
    this.#credentials = credentials;
    this.thingName = credentials.clientId;
    this.#line = new CutLine(place.sockets);
    this.#answers = new CommandAnswers({
      thingName: this.thingName,
      clock,
      activity: place.activity,
      send: (command, sessionId, response) => this.#sendAnswer(command, sessionId, response),
      onProblem: place.onProblem,
    });
  }

  // --- Connection -------------------------------------------------------------------------------------------------

  get isConnected(): boolean {
    return this.#client !== undefined;
  }

  /** Connects, and subscribes to its commands. Content when it is connected. Throws `device.refused`. */
  async connect({ keepsSession = false }: ConnectOptions = {}): Promise<void> {
    if (this.#client) return;
    await this.#place.until(`${this.thingName} connects`, this.#connect(keepsSession));
  }

  /** Says goodbye. */
  async disconnect(): Promise<void> {
    this.#client?.disconnect();
    await this.#place.settle();
  }

  /** Its power is gone: the connection is cut without a word, and what was not kept in a session is lost. */
  async losePower(): Promise<void> {
    this.#client?.drop();
    await this.#place.settle();
  }

  /** Its power goes when only a part of this message has left; by default half of it. */
  async losePowerWhilePublishing<Context extends ContextName<M>, Type extends TypeName<M, Context>>(
    context: Context,
    type: Type,
    payload: PayloadOf<M, Context, Type>,
    { bytesSent }: { readonly bytesSent?: number } = {},
  ): Promise<void> {
    const topic = telemetryTopic(this.#place.model.application, context, this.thingName, type);
    const bytes = Buffer.from(JSON.stringify(payload));
    this.#line.cutAfter(bytesSent ?? (bytes.length + topic.length) >> 1);
    const client = this.#connected();
    const cutOff = client.publish(topic, bytes).catch(() => client.drop()); // As it was to be.
    await this.#place.until(`${this.thingName} loses its power`, cutOff);
    await this.#place.settle();
  }

  // --- Time -------------------------------------------------------------------------------------------------------

  /** Sets its clock wrong: ahead of the app's, or behind with a negative number of milliseconds. */
  skewClock(byMs: number): void {
    this.#skewMs = byMs;
  }

  /** What its clock says, as ISO 8601. */
  now(): string {
    return new Date(this.#place.clock.nowMs() + this.#skewMs).toISOString();
  }

  // --- Up ---------------------------------------------------------------------------------------------------------

  /** Resolves when it is acknowledged. Throws `testing.payloadNotValid`, `testing.deviceOffline`, `device.*`. */
  async publish<Context extends ContextName<M>, Type extends TypeName<M, Context>>(
    context: Context,
    type: Type,
    payload: PayloadOf<M, Context, Type>,
  ): Promise<void> {
    const { application, telemetry } = this.#place.model;
    const parsed = telemetry[context][type].safeParse(payload);
    if (!parsed.success) throw payloadNotValid(`The payload of ${context}/${type}`, problemsOf(parsed.error));
    await this.publishRaw(telemetryTopic(application, context, this.thingName, type), payload);
  }

  /** Anything on any topic: text and bytes as they are, everything else as JSON. Throws `device.refused` if it may not. */
  async publishRaw(topic: string, payload: unknown): Promise<void> {
    const isRaw = typeof payload === 'string' || payload instanceof Uint8Array;
    const bytes = Buffer.from(isRaw ? payload : JSON.stringify(payload));
    this.#connected();
    await this.#place.until(`${this.thingName} publishes to ${topic}`, this.#send(topic, bytes));
  }

  /** Of a context and type of its own: what a faulty or hostile device puts there. */
  publishInvalid<Context extends ContextName<M>>(
    context: Context,
    type: TypeName<M, Context>,
    payload: unknown,
  ): Promise<void> {
    return this.publishRaw(telemetryTopic(this.#place.model.application, context, this.thingName, type), payload);
  }

  // --- Down -------------------------------------------------------------------------------------------------------

  /** Everything it was sent. */
  get messages(): Evidence<ReceivedMessage> {
    return new Evidence(`messages that ${this.thingName} was sent`, this.#messages);
  }

  /** What it was asked to do. */
  requests<Command extends CommandName<M>>(command: Command): Evidence<RequestOf<M['commands'][Command]>> {
    const requests = this.#answers.received.filter(received => received.command === command);
    return new Evidence(
      `${command} requests that ${this.thingName} got`,
      requests.map(({ request }) => request as RequestOf<M['commands'][Command]>), // As the app was made to send it.
    );
  }

  /** How it answers from now on; undefined from `answer`: not at all. */
  onCommand<Command extends CommandName<M>>(
    command: Command,
    answer: (
      request: RequestOf<M['commands'][Command]>,
    ) => ResponseOf<M['commands'][Command]> | undefined | Promise<ResponseOf<M['commands'][Command]> | undefined>,
    options: AnswerOptions = {},
  ): void {
    this.#answers.answerWith(command, answer as (request: Record<string, unknown>) => unknown, options); // As above.
  }

  /** Requests are kept, and not answered any more. */
  stopAnswering(command: CommandName<M>): void {
    this.#answers.stopAnswering(command);
  }

  /** The next request that is as expected, now or within some time. Each is given once. Throws `testing.unexpected`. */
  async expectCommand<Command extends CommandName<M>>(
    command: Command,
    expected?: Expected<RequestOf<M['commands'][Command]>>,
    { within = testingLimits.happenMsMax }: { readonly within?: Duration } = {},
  ): Promise<ExpectedRequest<M, Command>> {
    const find = () =>
      this.#answers.received.find(
        received =>
          received.command === command &&
          !this.#expected.has(received) &&
          (expected === undefined || isAsExpected(received.request, expected)),
      );
    const withinMs = durationMs(within);
    await this.#place.untilTrue(() => find() !== undefined, withinMs);
    const found = find();
    if (found === undefined) throw this.#notAsked(command, withinMs);
    this.#expected.add(found);
    const request = found.request as RequestOf<M['commands'][Command]>; // As the app was made to send it.
    const respond = (response: ResponseOf<M['commands'][Command]>) =>
      this.#place.until(`${this.thingName} answers ${command}`, this.#sendAnswer(command, request.sessionId, response));
    return { request, respond };
  }

  #notAsked(command: string, withinMs: number): Error {
    const got = this.#answers.received.map(received => `${received.command} ${JSON.stringify(received.request)}`);
    return unexpected(
      `${this.thingName} was not asked for ${command} within ${withinMs} ms. It ${
        got.length === 0 ? 'got no requests' : `got: ${got.slice(-5).join('; ')}`
      }.`,
      'Check that it is connected, and that what should send the command has happened.',
    );
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  async #connect(keepsSession: boolean): Promise<void> {
    const { clock, port, model } = this.#place;
    await delay(clock, Math.max(0, this.#connectedAtMs + connectsApartMs - clock.monotonicMs()));
    this.#connectedAtMs = clock.monotonicMs();
    const client: MqttClient = await MqttClient.connect({
      ...this.#credentials,
      clock,
      sockets: this.#line,
      host: 'test',
      port: port(),
      cleanStart: !keepsSession,
      sessionExpirySeconds: keepsSession ? keptSessionSeconds : undefined,
      onMessage: (topic, payload) => this.#take(topic, payload),
      onClose: () => {
        if (this.#client === client) this.#client = undefined;
      },
    });
    this.#client = client;
    if (Object.keys(model.commands).length === 0) return;
    await client.subscribe(commandTopic(model.application, '+', this.thingName, 'req'));
  }

  #connected(): MqttClient {
    if (!this.#client) throw deviceOffline(this.thingName);
    return this.#client;
  }

  #send(topic: string, bytes: Buffer): Promise<void> {
    const send = () => this.#connected().publish(topic, bytes);
    const lost = async () => {
      const client = this.#connected();
      client.drop();
      await client.publish(topic, bytes); // Which tells how a publish fails on a connection that is gone.
    };
    return this.#place.faults.up.send({ thingName: this.thingName, topic, bytes: bytes.length }, send, lost);
  }

  /** Throws for what does not fit the schema. What is lost on the way is asked for again. */
  async #sendAnswer(command: string, sessionId: string, response: unknown): Promise<void> {
    const { application, commands } = this.#place.model;
    const answer = { sessionId, ...(response as object) }; // A response is an object, by the model's type.
    const parsed = commands[command].response.safeParse(answer);
    if (!parsed.success) throw payloadNotValid(`The answer to ${command}`, problemsOf(parsed.error));
    if (!this.#client) return;
    const topic = commandTopic(application, command, this.thingName, 'res');
    await this.#send(topic, Buffer.from(JSON.stringify(answer))).catch(error => {
      if (codeOf(error) === 'device.refused') throw error;
    });
  }

  /** A socket's callback: must not throw. */
  #take(topic: string, payload: Uint8Array): void {
    const bytes = Buffer.from(payload);
    const take = async () => {
      this.#messages.push({ topic, payload: payloadOf(bytes) });
      const command = requestOn(this.#place.model.application, topic)?.command;
      const request = command === undefined ? undefined : payloadOf(bytes);
      if (command !== undefined && isObject(request)) this.#answers.take(command, request);
    };
    const onItsWay = { thingName: this.thingName, topic, bytes: bytes.length };
    this.#place.faults.down.send(onItsWay, take, async () => {}).catch(this.#place.onProblem);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
