/** One start of an app under test, until it is stopped, killed, or its power is cut. */
import { type App, consumerNames } from '../../app/index.ts';
import { meaningOfTopic } from '../../app/topics.ts';
import type { DeviceMessage } from '../../iot/rules/index.ts';
import { OneThreadBackend } from '../../local/one-thread.ts';
import { testingLimits } from '../limits.ts';
import { Activity } from './activity.ts';
import { FollowedStream } from './followed-stream.ts';
import { importInstances } from './instances.ts';
import type { Kept } from './kept.ts';
import { watchedApp } from './watched-app.ts';
import { watchedSeams } from './watched-seams.ts';

export interface Running {
  readonly app: App;
  readonly backend: OneThreadBackend;
  readonly activity: Activity;
}

const indexLagMs = 50; // ours: on AWS it is milliseconds, now and then more

/** The app's modules, as often as its invocations need them: a fresh set for each start. */
export function copiesOf(app: App | URL, { strictness }: Pick<Kept, 'strictness'>): Promise<App[]> | App[] {
  if (!(app instanceof URL)) return [app];
  return importInstances(app, strictness.recycledInstances ? testingLimits.instancesPerApp : 1);
}

export async function startRunning(copies: readonly App[], kept: Kept): Promise<Running> {
  const { world, strictness } = kept;
  const [{ model, functions }] = copies;
  const activity = new Activity();
  const app = watchedApp(copies, { activity, isStrict: strictness.awaitedWork, onProblem: kept.onProblem });
  const lagMs = strictness.laggingIndexes ? indexLagMs : 0;
  let followed: FollowedStream | undefined;
  const onAppended = () => followed?.pull();
  const { application } = model;
  activity.expectConsumers(consumerNames(app));
  const backend = await OneThreadBackend.start(app, world, {
    indexLagMs: lagMs,
    limits: strictness.cloudLimits ? 'aws' : 'generous',
    seams: watchedSeams({ kept, activity, application, indexLagMs: lagMs, onAppended }),
  });
  activity.watch(() => (backend.pendingBytes > 0 ? ['the gateway writes to its disk'] : []));
  activity.watch(() => backend.runtime.consumersAtWork.map(name => `${name} has records in hand`));
  const repeatsPresence =
    strictness.repeatedPresence && Object.values(functions).some(({ kind }) => kind === 'presence');
  const reader = backend.openReader();
  const { ingest } = backend.gateway;
  const offer = ({ topic, payload, cause }: DeviceMessage) => {
    const thingName = meaningOfTopic(application, topic)?.thingName ?? topic;
    return ingest.offerOwn({ thingName }, topic, payload, cause);
  };
  followed = await FollowedStream.open({ kept, activity, repeatsPresence, reader, offer });
  return { app, backend, activity };
}
