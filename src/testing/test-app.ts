/** A running app in the hands of a test. */

import type { Repositories } from '../app/entities/repository-types.ts';
import { problemsOf } from '../app/index.ts';
import { asCaller } from '../kernel/callers.ts';
import { type ApiAnswer, TestWorld } from '../local/one-thread.ts';
import type { DevicePlace } from './devices/device-place.ts';
import { Devices } from './devices/devices.ts';
import type { PostingDevice } from './devices/posting-device.ts';
import type { ConnectOptions, VirtualDevice } from './devices/virtual-device.ts';
import { optionsNotValid, payloadNotValid } from './errors.ts';
import { Inspection } from './evidence/inspection.ts';
import type { Faults } from './faults/faults.ts';
import { completed, type EntityLists, readFixtureFile, type WholeEntities } from './fixtures/fixture-file.ts';
import { type FixtureOptions, type Fixtures, fixtures } from './fixtures/fixtures.ts';
import { inLoads, storeEntities } from './fixtures/store-entities.ts';
import { testingLimits } from './limits.ts';
import type { EntityName, EntityOf, ModelParts, RecordOf, StreamName } from './model-types.ts';
import type { Recording } from './recordings/recording.ts';
import { type Replayed, replay } from './recordings/replay.ts';
import { Snapshot } from './snapshot.ts';
import { TestUser } from './test-user.ts';
import { type Duration, durationMs } from './world/durations.ts';
import { testCaller } from './world/kept.ts';
import type { Life } from './world/life.ts';
import type { Running } from './world/running.ts';
import type { TestTime } from './world/test-time.ts';
import { watchedCalls } from './world/watched-calls.ts';

export interface DeviceOptions extends ConnectOptions {
  /** Default true. */
  readonly isConnected?: boolean;
}

export interface TestAppParts<M extends ModelParts> {
  readonly model: M;
  readonly fixtures: FixtureOptions;
  readonly life: Life;
}

export class TestApp<M extends ModelParts = ModelParts> extends Inspection<M> implements AsyncDisposable {
  readonly model: M;
  readonly faults: Faults;
  /** Valid entities and payloads that are not stored. */
  readonly make: Fixtures<M>;
  readonly #fixtureOptions: FixtureOptions;
  readonly #life: Life;
  readonly #devices: Devices<M>;

  /** By `startApp`. */
  constructor({ model, fixtures: fixtureOptions, life }: TestAppParts<M>) {
    super(life);
    this.model = model;
    this.#fixtureOptions = fixtureOptions;
    this.make = fixtures(model, fixtureOptions);
    this.faults = life.kept.faults;
    this.#life = life;
    this.#devices = this.#makeDevices();
  }

  // --- Time -------------------------------------------------------------------------------------------------------

  /** What its clock says. */
  now(): Date {
    return new Date(this.#life.kept.world.clock.nowMs());
  }

  /** Lets so much time pass, and everything happen that falls due. Throws what the app did wrong meanwhile. */
  advance(duration: Duration): Promise<void> {
    return this.#time.advance(durationMs(duration));
  }

  /** Lets time pass until then. Throws `testing.optionsNotValid` when it is past. */
  at(time: Date | string): Promise<void> {
    const ms = new Date(time).getTime() - this.#life.kept.world.clock.nowMs();
    if (!(ms >= 0))
      throw optionsNotValid(`It is ${this.now().toISOString()}: ${time} is past, or no time.`, 'Give a later time.');
    return this.#time.advance(ms);
  }

  /**
   * Lets time pass just until nothing is under way: functions have ended, consumers have handled what there was, lists
   * show it. Commands that wait for an answer, and schedules, wait on. Throws `testing.notIdle` and what the app did wrong.
   */
  runUntilIdle({ within = testingLimits.idleMsMax }: { readonly within?: Duration } = {}): Promise<void> {
    return this.#time.runUntilIdle(durationMs(within));
  }

  // --- Devices and users ------------------------------------------------------------------------------------------

  /** The device of this name, registered if it is not yet, and connected. The same one when it is asked for again. */
  async device(thingName: string, options: DeviceOptions = {}): Promise<VirtualDevice<M>> {
    const { isConnected = true, ...how } = options;
    const device = await this.#devices.get(thingName);
    if (isConnected) await device.connect(how);
    return device;
  }

  /** The same for a device that posts over HTTP and holds no connection. */
  postingDevice(thingName: string): Promise<PostingDevice<M>> {
    return this.#devices.getPosting(thingName);
  }

  /** Somebody with a token for this name; undefined: with none. */
  user(name: string | undefined): TestUser {
    return new TestUser(name, (...request) => this.#ask(...request));
  }

  /** A record of others, into a stream that the app declares; all keys are one unless it is given. Resolves when it is durable. */
  async putRecord<Name extends StreamName<M>>(
    stream: Name,
    record: RecordOf<M, Name>,
    options?: { readonly partitionKey?: string },
  ): Promise<void> {
    const parsed = this.model.streams[stream].record.safeParse(record);
    if (!parsed.success) throw payloadNotValid(`A record for ${stream}`, problemsOf(parsed.error));
    await this.putInvalidRecord(stream, record, options);
  }

  /** The same for anything that is JSON: what a faulty producer sends. */
  putInvalidRecord(
    stream: StreamName<M>,
    record: unknown,
    { partitionKey = 'test' }: { readonly partitionKey?: string } = {},
  ): Promise<void> {
    const putting = this.#now.backend.appendRecords(stream, [{ partitionKey, record }]);
    return this.#time.until(`a record is put into ${stream}`, putting);
  }

  // --- Storing ----------------------------------------------------------------------------------------------------

  /** The entities, as functions have them; time passes as far as each call needs. Nothing of it is accounted for. */
  get entities(): Repositories<M['entities']> {
    const { entities } = this.#now.backend.runtime.context;
    const watched = watchedCalls(entities, 'entities', (name, call) => {
      const result = asCaller({ functionName: testCaller }, call);
      return result instanceof Promise ? this.#time.until(name, result) : result;
    });
    return watched as unknown as Repositories<M['entities']>; // The model is that of the app.
  }

  /** Stores a valid entity with what is given, as the app would; the rest is made up. */
  async create<Name extends EntityName<M>>(
    entity: Name,
    given?: Parameters<Fixtures<M>[Name]>[0],
  ): Promise<EntityOf<M, Name>> {
    const [created] = await this.#store(entity, [this.make[entity](given)]);
    return created;
  }

  async createMany<Name extends EntityName<M>>(
    entity: Name,
    count: number,
    given?: Parameters<Fixtures<M>[Name]['many']>[1],
  ): Promise<EntityOf<M, Name>[]> {
    return this.#store(entity, this.make[entity].many(count, given));
  }

  /** Stores entities of several kinds, in the order they are given; what they lack is made up. */
  load(entities: EntityLists<M>): Promise<void> {
    return this.#storeAll(completed(this.model, entities, 'what is to be loaded', this.#fixtureOptions));
  }

  /** The same from a JSON file, or from a module with `defineFixtures`. Throws `testing.fixtureNotValid`. */
  async loadFile(file: URL): Promise<WholeEntities<M>> {
    const entities = await readFixtureFile(this.model, file, this.#fixtureOptions);
    await this.#storeAll(entities);
    return entities;
  }

  /**
   * Plays what `mimamori record` has written: things and users do again what they did, as far apart in time; new ids stand in for
   * those of then. Throws `testing.recordingNotValid`.
   */
  replay(recording: Recording): Promise<Replayed> {
    return replay(this, recording);
  }

  // --- Its life ---------------------------------------------------------------------------------------------------

  /** Stops in order and starts again; devices are offline until they connect. */
  restart(): Promise<void> {
    return this.#life.restart();
  }

  /** The process is killed and started again: what it had only in memory is lost. */
  kill(): Promise<void> {
    return this.#life.kill();
  }

  /** The power is cut, and comes back: what was not synced is lost, too, or torn, by the seed's chance. */
  cutPower(): Promise<void> {
    return this.#life.cutPower();
  }

  /** As it is when nothing is under way, for others to start from. It runs on. */
  async snapshot(): Promise<Snapshot> {
    await this.runUntilIdle();
    const { world, credentials } = this.#life.kept;
    return new Snapshot(new TestWorld(1, { copyOf: world }), credentials);
  }

  /** Ends it. Throws what it did wrong and nobody has been told yet. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#life.end();
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  get #now(): Running {
    return this.#life.now;
  }

  get #time(): TestTime {
    return this.#life.time;
  }

  #ask(...request: Parameters<Running['backend']['ask']>): Promise<ApiAnswer> {
    const [, method, path] = request;
    return this.#time.until(`${method} ${path} is answered`, this.#now.backend.ask(...request));
  }

  #makeDevices(): Devices<M> {
    const { world, faults, onProblem, credentials } = this.#life.kept;
    const place: DevicePlace<M> = {
      model: this.model,
      clock: world.clock,
      sockets: world.sockets,
      port: () => this.#now.backend.mqttPort,
      activity: () => this.#now.activity,
      faults,
      onProblem,
      until: (what, work) => this.#time.until(what, work),
      untilTrue: (isDone, withinMs) => this.#time.untilTrue(isDone, withinMs),
      settle: () => this.#time.settle(),
      askGateway: (...call) => this.#now.backend.askGateway(...call),
    };
    return new Devices({ place, credentials, createThing: name => this.#now.backend.gateway.createThing(name) });
  }

  async #storeAll(entities: Readonly<Record<string, object[] | undefined>>): Promise<void> {
    for (const [entity, list] of Object.entries(entities)) await this.#store(entity, list ?? []);
  }

  /** As the app itself would; lists show them afterwards. */
  async #store<Entity extends object>(entity: string, list: Entity[]): Promise<Entity[]> {
    const { activity, backend } = this.#now;
    for (const some of inLoads(list)) {
      await this.#time.until(`${some.length} of ${entity} are stored`, storeEntities(backend.runtime, entity, some));
    }
    await this.#time.advance(Math.max(0, activity.indexesLagUntilMs - this.#life.kept.world.clock.monotonicMs()));
    return list;
  }
}
