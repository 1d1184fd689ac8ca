import { readFileSync, writeFileSync } from 'node:fs';
import type { Step } from './conversation.ts';
import type { Finding, PacketCase } from './finding.ts';
import { checkPacketCase } from './packets.ts';
import { checkConversations } from './sessions.ts';

/** Everything fuzzing ever found, replayed with every `npm test`: bytes and steps, since a seed says another thing tomorrow. */
const corpusFile = new URL('corpus.json', import.meta.url);

export interface CorpusEntry {
  /** What was wrong, for the reader. */
  readonly name: string;
  readonly oracle: string;
  /** Where it was found, with the code of that day. */
  readonly seed: number;
  readonly index: number;
  /** Why it is still broken; absent once it is mended. */
  readonly todo?: string;
  readonly packet?: PacketCase;
  readonly conversations?: readonly (readonly Step[])[];
}

export function readCorpus(): CorpusEntry[] {
  return JSON.parse(readFileSync(corpusFile, 'utf8')) as CorpusEntry[]; // Written by `keepInCorpus` and by hand.
}

/** Whether this is in the corpus as still to be mended. */
export function isKnown(oracle: string): boolean {
  return readCorpus().some(entry => entry.oracle === oracle && entry.todo !== undefined);
}

/** Throws `Broken` when it is as it was found. */
export async function replay({ oracle, packet, conversations }: CorpusEntry): Promise<void> {
  if (packet) checkPacketCase(packet);
  if (conversations) await checkConversations(conversations, oracle);
}

/** Those that can be replayed and are not there yet; @returns how many were added. */
export function keepInCorpus(findings: readonly Finding[]): number {
  const corpus = readCorpus();
  const known = new Set(corpus.map(({ oracle }) => oracle));
  const added = findings.filter(({ oracle, packet, conversations }) => (packet || conversations) && !known.has(oracle));
  for (const { oracle, seed, index, packet, conversations } of added) {
    corpus.push({
      name: oracle,
      oracle,
      seed,
      index,
      ...(packet && { packet }),
      ...(conversations && { conversations }),
    });
  }
  if (added.length > 0) writeFileSync(corpusFile, `${JSON.stringify(corpus, undefined, 2)}\n`);
  return added.length;
}
