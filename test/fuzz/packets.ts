import { decode } from '../../src/iot/mqtt/decode.ts';
import { encode } from '../../src/iot/mqtt/encode.ts';
import { messageOf } from '../../src/kernel/errors.ts';
import { type Finding, findingsMax, type PacketCase, replayOf } from './finding.ts';
import { FuzzRandom } from './fuzz-random.ts';
import { PacketMutator } from './packet-mutator.ts';
import { Broken, type Codec, type Decoded, PacketOracles } from './packet-oracles.ts';
import { packetPool } from './packet-pool.ts';
import { disagreement } from './second-opinion.ts';

export interface PacketCounts {
  cases: number;
  accepted: number;
  refused: number;
  undecided: number;
  /** Accepted packets that the other implementation was asked about. */
  secondOpinions: number;
}

export interface PacketOptions {
  readonly seed: number;
  readonly first: number;
  readonly count: number;
  readonly codec?: Codec;
  /** Before each case. False stops the run. */
  readonly onCase?: (index: number) => boolean;
}

/** The other implementation costs as much as all our promises together. */
const secondOpinionOnceIn = 4;

/** Cases `first` to `first + count` of a seed against every promise of the codec. */
export function runPackets(options: PacketOptions): { counts: PacketCounts; findings: Finding[] } {
  const { seed, first, count, codec = { decode, encode }, onCase = () => true } = options;
  const counts: PacketCounts = { cases: 0, accepted: 0, refused: 0, undecided: 0, secondOpinions: 0 };
  const findings = new Map<string, Finding>();
  const random = new FuzzRandom();
  const mutator = new PacketMutator(packetPool());
  const oracles = new PacketOracles(codec);
  for (let index = first; index < first + count && findings.size < findingsMax; index++) {
    if (!onCase(index)) break;
    counts.cases++;
    mutator.make(random.restart(seed, index));
    try {
      const decoded = oracles.check(mutator.bytes, mutator.start, mutator.end, mutator.context, random);
      note(counts, decoded);
      if (decoded !== undefined && decoded.type !== 'refusal' && random.onceIn(secondOpinionOnceIn)) {
        counts.secondOpinions++;
        askAnother(decoded, mutator);
      }
    } catch (error) {
      const oracle = error instanceof Broken ? error.oracle : 'the oracles do not throw';
      if (!findings.has(oracle)) findings.set(oracle, findingOf({ seed, index, oracle, error, mutator }));
    }
  }
  return { counts, findings: [...findings.values()] };
}

/** One case from its bytes, as it is kept in the corpus. Throws `Broken`. */
export function checkPacketCase({ hex, ...context }: PacketCase, codec: Codec = { decode, encode }): void {
  const bytes = Buffer.from(hex, 'hex');
  const oracles = new PacketOracles(codec);
  for (let index = 0; index < 128; index++) {
    oracles.check(bytes, 0, bytes.length, context, new FuzzRandom().restart(1, index)); // Cut at many places.
  }
  const decoded = codec.decode(bytes, 0, bytes.length, context);
  if (decoded !== undefined && decoded.type !== 'refusal') {
    askAnother(decoded, { bytes, start: 0, end: bytes.length, context });
  }
}

function note(counts: PacketCounts, decoded: Decoded): void {
  if (decoded === undefined) counts.undecided++;
  else if (decoded.type === 'refusal') counts.refused++;
  else counts.accepted++;
}

function askAnother(
  decoded: Exclude<Decoded, undefined | { type: 'refusal' }>,
  { bytes, start, context }: Pick<PacketMutator, 'bytes' | 'start' | 'end' | 'context'>,
): void {
  const version = decoded.type === 'connect' ? decoded.protocolVersion : context.version;
  if (version === 0) return;
  const found = disagreement(decoded, bytes.subarray(start, start + decoded.byteLength), version);
  if (found !== undefined) throw new Broken('mqtt-packet reads the same', found);
}

/** The case itself, without looking at it: for one that the decoder did not come back from. */
export function packetCaseOf(seed: number, index: number): PacketCase {
  const mutator = new PacketMutator(packetPool());
  mutator.make(new FuzzRandom().restart(seed, index));
  return { ...mutator.context, hex: mutator.caseBytes.toString('hex') };
}

function findingOf(broken: {
  seed: number;
  index: number;
  oracle: string;
  error: unknown;
  mutator: PacketMutator;
}): Finding {
  const { seed, index, oracle, error, mutator } = broken;
  return {
    campaign: 'packets',
    seed,
    index,
    oracle,
    message: messageOf(error),
    replay: replayOf('packets', seed, index),
    packet: { ...mutator.context, hex: mutator.caseBytes.toString('hex') },
  };
}
