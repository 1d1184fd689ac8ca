import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../src/kernel/errors.ts';
import { ConversationMaker, type Step } from './conversation.ts';
import { type Finding, findingsMax, replayOf } from './finding.ts';
import { FuzzRandom } from './fuzz-random.ts';
import { type Ending, FuzzWorld, type GatewayKind, gatewayKinds, thoroughPromises } from './fuzz-world.ts';
import { Broken } from './packet-oracles.ts';
import { packetPool } from './packet-pool.ts';

const sessionsLimits = {
  perWorld: 50, // conversations of one gateway: they meet each other's sessions, queues and wills
  thoroughOnceIn: 40, // worlds; every kind of gateway in its turn
  settleMs: 60_000, // real time for one conversation, which takes some milliseconds
  shrinkRunsMax: 400,
  shrinkMsMax: 60_000, // real time: what is not short by then stays as it is
} as const;

export interface SessionCounts {
  sessions: number;
  steps: number;
  worlds: number;
  /** Of the gateways: accepted CONNECTs, allowed publishes, and bytes that were no packet; the canary's included. */
  connected: number;
  published: number;
  refused: number;
}

export interface SessionOptions {
  readonly seed: number;
  readonly first: number;
  readonly count: number;
  /** Before each conversation. False stops the run. */
  readonly onCase?: (index: number) => boolean;
  /** Findings to pass over: they are in the corpus, and wait there to be mended. */
  readonly isKnown?: (oracle: string) => boolean;
  /** Whether a finding is made as short as it still breaks the promise; true when absent. */
  readonly shortens?: boolean;
  /** After each world that is played to make a finding shorter. False leaves it as short as it is. */
  readonly onShortened?: () => boolean;
}

/** Conversations `first` to `first + count` of a seed. Each world is played from its beginning. */
export async function runSessions(options: SessionOptions): Promise<{ counts: SessionCounts; findings: Finding[] }> {
  const { seed, first, count, onCase = () => true, onShortened = () => true } = options;
  const { isKnown = () => false, shortens = true } = options;
  const counts: SessionCounts = { sessions: 0, steps: 0, worlds: 0, connected: 0, published: 0, refused: 0 };
  const findings = new Map<string, Finding>();
  const maker = new ConversationMaker(packetPool());
  const random = new FuzzRandom();
  const last = first + count - 1;
  const unhandled = watchUnhandled();
  let goesOn = true;
  for (let world = worldOf(first); world <= worldOf(last) && goesOn && findings.size < findingsMax; world++) {
    const played: Step[][] = [];
    const from = world * sessionsLimits.perWorld;
    const to = Math.min(last, from + sessionsLimits.perWorld - 1);
    const conversations = function* () {
      for (let index = from; index <= to; index++) {
        goesOn = onCase(index);
        if (!goesOn) return;
        const steps = maker.make(random.restart(seed, index));
        counts.sessions++;
        counts.steps += steps.length;
        played.push(steps);
        yield steps;
      }
    };
    const ending: Ending = world % sessionsLimits.thoroughOnceIn === 0 ? 'thorough' : 'quick';
    const kind = gatewayKinds[world % gatewayKinds.length];
    const broken = await playWorld({
      kind,
      conversations: conversations(),
      ending,
      takeUnhandled: unhandled.take,
      onOver: ({ happened }) => {
        counts.connected += happened.connected;
        counts.published += happened.published;
        counts.refused += happened.refused;
      },
    });
    counts.worlds++;
    if (broken && !findings.has(broken.oracle) && !isKnown(broken.oracle)) {
      const index = from + played.length - 1;
      const found = { kind, conversations: played, broken, takeUnhandled: unhandled.take, onShortened };
      findings.set(broken.oracle, {
        campaign: 'sessions',
        seed,
        index,
        oracle: broken.oracle,
        message: broken.message,
        replay: replayOf('sessions', seed, index),
        conversations: shortens ? await shrink(found) : played,
      });
      if (broken.oracle === neverSettles) break; // What hangs goes on beside everything that follows.
    }
  }
  unhandled.stop();
  return { counts, findings: [...findings.values()] };
}

/** Kept conversations, played again at every kind of gateway, for what they once broke. Throws `Broken`. */
export async function checkConversations(conversations: readonly (readonly Step[])[], oracle: string): Promise<void> {
  const unhandled = watchUnhandled();
  const ending = Object.values<string>(thoroughPromises).includes(oracle) ? 'thorough' : 'quick';
  let broken: Broken | undefined;
  for (const kind of gatewayKinds) {
    broken ??= await playWorld({ kind, conversations, ending, takeUnhandled: unhandled.take });
  }
  unhandled.stop();
  if (broken) throw broken;
}

/** The first conversation of the world that this one is played in. */
export function worldStart(index: number): number {
  return worldOf(index) * sessionsLimits.perWorld;
}

function worldOf(index: number): number {
  return Math.floor(index / sessionsLimits.perWorld);
}

const neverSettles = 'a conversation comes to its end';

interface Play {
  readonly kind: GatewayKind;
  readonly conversations: Iterable<readonly Step[]>;
  readonly ending: Ending;
  readonly takeUnhandled: () => unknown;
  /** When its conversations are over and before it ends. */
  readonly onOver?: (world: FuzzWorld) => void;
}

async function playWorld(play: Play): Promise<Broken | undefined> {
  const { kind, conversations, ending, takeUnhandled, onOver = () => {} } = play;
  try {
    const world = await FuzzWorld.start(kind);
    try {
      for (const steps of conversations) {
        await inTime(world.play(steps));
        const thrown = takeUnhandled();
        if (thrown !== undefined) throw new Broken('nothing is unhandled', thrown);
      }
    } finally {
      onOver(world); // Also of one that was broken: its conversations count.
    }
    await inTime(world.end(ending));
    return undefined;
  } catch (error) {
    if (error instanceof Broken) return error;
    return new Broken(`nothing throws: ${messageOf(error)}`, error);
  }
}

async function inTime(work: Promise<void>): Promise<void> {
  const stop = new AbortController();
  const late = delay(sessionsLimits.settleMs, undefined, { signal: stop.signal }).then(() => {
    throw new Broken(neverSettles);
  });
  late.catch(() => {}); // Aborted below, or rejected by the race.
  try {
    await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}

interface Shrinkable {
  readonly kind: GatewayKind;
  readonly conversations: readonly (readonly Step[])[];
  readonly broken: Broken;
  readonly takeUnhandled: () => unknown;
  readonly onShortened: () => boolean;
}

/** Leaves out whatever is not needed to break the same promise: whole conversations, then runs of steps, then steps. */
async function shrink(found: Shrinkable): Promise<readonly Step[][]> {
  const { kind, conversations, broken, takeUnhandled, onShortened } = found;
  const untilMs = performance.now() + sessionsLimits.shrinkMsMax;
  let runs = 0;
  let ending: Ending = 'none';
  const stillBreaks = async (shorter: readonly (readonly Step[])[]) => {
    if (broken.oracle === neverSettles || performance.now() > untilMs) return false;
    if (++runs > sessionsLimits.shrinkRunsMax || !onShortened()) return false;
    return (await playWorld({ kind, conversations: shorter, ending, takeUnhandled }))?.oracle === broken.oracle;
  };
  let kept = conversations.map(steps => [...steps]);
  for (ending of ['none', 'quick', 'thorough'] as const) if (await stillBreaks(kept)) break;
  kept = await without(kept, stillBreaks);
  for (let index = 0; index < kept.length; index++) {
    const around = (steps: Step[]) => kept.map((other, at) => (at === index ? steps : other));
    const steps = await without(kept[index], shorter => stillBreaks(around(shorter)));
    kept = around(steps);
  }
  return kept;
}

/** Tries halves, quarters and so on, down to single items. */
async function without<T>(items: T[], stillBreaks: (shorter: T[]) => Promise<boolean>): Promise<T[]> {
  let kept = items;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = kept.length - size; start > -size; start -= size) {
      const shorter = kept.filter((_, index) => index < start || index >= start + size);
      if (shorter.length < kept.length && (await stillBreaks(shorter))) kept = shorter;
    }
  }
  return kept;
}

/** What nobody caught, which Node would end the process for. */
function watchUnhandled(): { take: () => unknown; stop: () => void } {
  let seen: unknown[] = [];
  const note = (thrown: unknown) => void seen.push(thrown ?? 'nothing');
  process.on('unhandledRejection', note).on('uncaughtException', note);
  return {
    take: () => {
      const [first] = seen;
      seen = [];
      return first;
    },
    stop: () => void process.off('unhandledRejection', note).off('uncaughtException', note),
  };
}
