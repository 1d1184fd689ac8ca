/** The devices of an app under test: each is registered once, and stays when the app is restarted. */
import type { ThingCredentials } from '../../iot/port.ts';
import { codeOf } from '../../kernel/errors.ts';
import { credentialsNotKnown } from '../errors.ts';
import type { ModelParts } from '../model-types.ts';
import type { DevicePlace } from './device-place.ts';
import { PostingDevice } from './posting-device.ts';
import { VirtualDevice } from './virtual-device.ts';

export interface DevicesOptions<M extends ModelParts> {
  readonly place: DevicePlace<M>;
  /** By thing: what it connects with. Whatever is registered meanwhile is added by others, too. */
  readonly credentials: Map<string, ThingCredentials>;
  readonly createThing: (thingName: string) => Promise<ThingCredentials>;
}

export class Devices<M extends ModelParts> {
  readonly #options: DevicesOptions<M>;
  readonly #connecting = new Map<string, VirtualDevice<M>>();

  constructor(options: DevicesOptions<M>) {
    this.#options = options;
  }

  /** The same one when it is asked for again. Throws `testing.credentialsNotKnown`. */
  async get(thingName: string): Promise<VirtualDevice<M>> {
    const known = this.#connecting.get(thingName);
    if (known !== undefined) return known;
    const device = new VirtualDevice(this.#options.place, await this.#register(thingName));
    this.#connecting.set(thingName, device);
    return device;
  }

  async getPosting(thingName: string): Promise<PostingDevice<M>> {
    return new PostingDevice(this.#options.place, await this.#register(thingName));
  }

  async #register(thingName: string): Promise<ThingCredentials> {
    const { credentials, place, createThing } = this.#options;
    const known = credentials.get(thingName);
    if (known !== undefined) return known;
    const creating = createThing(thingName).catch(error => {
      throw codeOf(error) === 'thing.exists' ? credentialsNotKnown(thingName) : error;
    });
    const created = await place.until(`${thingName} is registered`, creating);
    credentials.set(thingName, created);
    return created;
  }
}
