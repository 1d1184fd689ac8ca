import type { App } from '../app/index.ts';
import { TestWorld } from '../local/one-thread.ts';
import { optionsNotValid } from './errors.ts';
import type { FixtureOptions } from './fixtures/fixtures.ts';
import type { ModelParts } from './model-types.ts';
import type { Snapshot } from './snapshot.ts';
import { TestApp } from './test-app.ts';
import { Kept } from './world/kept.ts';
import { Life } from './world/life.ts';
import { copiesOf, startRunning } from './world/running.ts';
import { type Leniency, strictnessOf } from './world/strictness.ts';

export interface StartOptions<M extends ModelParts> {
  /** The app's model, for its types: what devices publish, what entities hold. */
  readonly model?: M;
  /** What chance follows from: ids, secrets, power cuts, faults. Default 1. */
  readonly seed?: number;
  /** What its clock says at the beginning. Default: the first of January 2026, or the time of the snapshot. */
  readonly startAt?: Date | string;
  /** Begins with what was stored then. */
  readonly from?: Snapshot;
  /** Strictness to leave out, each with the reason. Default: as strict as the cloud. */
  readonly lenient?: Leniency;
  /** How entities are made up; the seed is that of the app, unless it is given. */
  readonly fixtures?: FixtureOptions;
}

/**
 * Starts an app in memory, on a clock that moves only when the test says so. Given a URL, each start has copies of the
 * app's modules of its own, between which invocations take turns, so that state that hides in a module shows.
 * Throws `testing.optionsNotValid`, `app.notLoadable`.
 */
export async function startApp<const M extends ModelParts = ModelParts>(
  app: App | URL,
  options: StartOptions<M> = {},
): Promise<TestApp<M>> {
  const { seed = 1, from, model } = options;
  const strictness = strictnessOf(options.lenient);
  const copies = await copiesOf(app, { strictness });
  const { application } = copies[0].model;
  if (model !== undefined && model.application !== application) {
    throw optionsNotValid(
      `The model is of ${model.application}, the app is ${application}.`,
      'Give the model of the app.',
    );
  }
  const world = new TestWorld(seed, { startMs: startMsOf(options.startAt), copyOf: from?.world });
  const kept = new Kept({ world, strictness, seed, application, credentials: from?.credentials });
  const running = await startRunning(copies, kept);
  // Without a model the types are those of any; with one they are the app's own, which is what was checked above.
  const typed = (model ?? copies[0].model) as unknown as M;
  const life = new Life({ app, kept, running });
  return new TestApp<M>({ model: typed, fixtures: { seed, ...options.fixtures }, life });
}

function startMsOf(startAt: Date | string | undefined): number | undefined {
  if (startAt === undefined) return undefined;
  const startMs = new Date(startAt).getTime();
  if (Number.isNaN(startMs)) throw optionsNotValid(`${startAt} is no time.`, 'Give a Date, or a text as in ISO 8601.');
  return startMs;
}
