// What a benchmark knows of a server before it runs: whether it is here, what it keeps, how to start it.
import type { CertificateFiles } from './certificates.ts';
import type { Peer } from './server-process.ts';

export interface StartOptions {
  /** Speak TLS with this certificate; without, plain TCP. */
  certificate?: CertificateFiles;
  /** Keep sessions here. Without, in memory only, as far as the server can. */
  dataFolder?: string;
}

export interface ServerKind {
  name: string;
  /** The peers are what ours is compared with; the limit is what a Node process can do that keeps no promise. */
  role: 'subject' | 'peer' | 'limit';
  /** Where it comes from, for who does not have it. */
  needs: string;
  /** Undefined: it is not installed. */
  version(): string | undefined;
  start(options: StartOptions): Promise<Peer>;
  /** What is left of sessions and their messages after kill -9, in the words of its maker as far as there are any. */
  keepsAfterKill: string;
}
