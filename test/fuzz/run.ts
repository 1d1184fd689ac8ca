import { type Campaign, type Finding, findingsMax, replayOf } from './finding.ts';
import { judgeMemory, type MemoryUse, MemoryWatch } from './memory-watch.ts';
import { type PacketCounts, runPackets } from './packets.ts';
import { runSessions, type SessionCounts } from './sessions.ts';
import type { SharedState } from './shared-state.ts';

/** What one run is asked to do. */
export interface RunOrder {
  readonly seed: number;
  readonly packets: CaseRange;
  readonly sessions: CaseRange;
}

export interface CaseRange {
  readonly first: number;
  readonly count: number;
}

export interface RunResult {
  readonly packets: CampaignResult<PacketCounts> | undefined;
  readonly sessions: CampaignResult<SessionCounts> | undefined;
  readonly findings: readonly Finding[];
}

export interface CampaignResult<Counts> {
  readonly counts: Counts;
  readonly seconds: number;
  /** Undefined when the run was too short to be warm. */
  readonly memory: MemoryUse | undefined;
}

/** Cases after which everything there is to compile and to fill is compiled and filled. */
const warmAfter = { packets: 400_000, sessions: 2_000 } as const;
const lookEvery = { packets: 65_536, sessions: 50 } as const;

/** Both campaigns, one after the other; `state` is told where it is and says whether to go on. */
export async function runFuzz({ seed, packets, sessions }: RunOrder, state: SharedState): Promise<RunResult> {
  const findings: Finding[] = [];
  const run = async <Counts>(
    campaign: Campaign,
    { count }: CaseRange,
    play: (onCase: (index: number) => boolean) => Promise<{ counts: Counts; findings: Finding[] }>,
  ): Promise<CampaignResult<Counts> | undefined> => {
    if (count === 0) return undefined;
    if (campaign === 'sessions' && !state.beat()) return undefined; // Stopped: the next campaign is not begun.
    state.begin(campaign);
    const memory = new MemoryWatch();
    let done = 0;
    let lastIndex = 0;
    const startMs = performance.now();
    const result = await play(index => {
      if (done === warmAfter[campaign]) memory.warm();
      else if (memory.isWarm && done % lookEvery[campaign] === 0) memory.look();
      done++;
      lastIndex = index;
      return state.nextCase(index);
    });
    const seconds = (performance.now() - startMs) / 1_000;
    findings.push(...result.findings);
    const use = memory.isWarm ? memory.use() : undefined;
    const grown = use && result.findings.length < findingsMax ? judgeMemory(use, campaign) : undefined;
    const oracle = 'memory is flat';
    if (grown !== undefined) {
      const replay = replayOf(campaign, seed, lastIndex);
      findings.push({ campaign, seed, index: lastIndex, oracle, message: grown, replay });
    }
    return { counts: result.counts, seconds, memory: use };
  };
  return {
    packets: await run('packets', packets, async onCase => runPackets({ seed, ...packets, onCase })),
    sessions: await run('sessions', sessions, onCase =>
      runSessions({ seed, ...sessions, onCase, onShortened: () => state.beat() }),
    ),
    findings,
  };
}
