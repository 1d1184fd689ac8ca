// Which servers a run measures: ours, the peers that were asked for and are installed, and the bare one as the limit.
import { BenchError } from './errors.ts';
import { mimamoriBroker } from './mimamori-broker.ts';
import { aedes } from './peers/aedes.ts';
import { bareRelay } from './peers/bare.ts';
import { mosquitto } from './peers/mosquitto.ts';
import { nats } from './peers/nats.ts';
import type { ServerKind, StartOptions } from './server-kind.ts';
import type { Peer } from './server-process.ts';
import type { Settings } from './settings.ts';

export const peerKinds: readonly ServerKind[] = [mosquitto, nats, aedes];
const brokerKinds: readonly ServerKind[] = [mimamoriBroker, ...peerKinds, bareRelay];

export interface Skipped {
  server: string;
  needs: string;
}

export interface LineUp {
  kinds: readonly ServerKind[]; // the subject first
  versions: Record<string, string>;
  skipped: readonly Skipped[];
}

/** The peers alone, for a benchmark that has its own subject. */
export function lineUpPeers(settings: Settings): LineUp {
  const kinds: ServerKind[] = [];
  const versions: Record<string, string> = {};
  const skipped: Skipped[] = [];
  for (const kind of peerKinds.filter(each => settings.peers.includes(each.name))) {
    const version = kind.version();
    if (version === undefined) {
      skipped.push({ server: kind.name, needs: kind.needs });
      continue;
    }
    kinds.push(kind);
    versions[kind.name] = version;
  }
  return { kinds, versions, skipped };
}

/** The broker to be judged, its peers, and the bare server where there is something a server without promises can do. */
export function lineUpBrokers(settings: Settings, { withLimit }: { withLimit: boolean }): LineUp {
  const kind = brokerKinds.find(each => each.name === settings.subject);
  const version = kind?.version();
  if (kind === undefined || version === undefined) {
    const fix = `It needs ${kind?.needs ?? 'another name'}; or judge another server, with --subject.`;
    throw new BenchError(`${settings.subject}, which this benchmark is to judge, is not there.`, fix);
  }
  const { kinds: peers, versions, skipped } = lineUpPeers(settings);
  const others = withLimit ? [...peers, bareRelay] : peers;
  const subject: ServerKind = { ...kind, role: 'subject' };
  return {
    kinds: [subject, ...others.filter(other => other.name !== kind.name)],
    versions: { [kind.name]: version, ...versions },
    skipped,
  };
}

export interface RunningServer {
  kind: ServerKind;
  peer: Peer;
}

export async function startAll(kinds: readonly ServerKind[], options: StartOptions = {}): Promise<RunningServer[]> {
  return Promise.all(kinds.map(async kind => ({ kind, peer: await kind.start(options) })));
}

export async function stopAll(servers: readonly RunningServer[]): Promise<void> {
  await Promise.all(servers.map(({ peer }) => peer.stop()));
}
