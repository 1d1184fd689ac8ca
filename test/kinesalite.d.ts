/** What we use of it; kinesalite comes without types. */
declare module 'kinesalite' {
  import type { Server } from 'node:http';

  interface KinesaliteOptions {
    readonly createStreamMs?: number;
    readonly deleteStreamMs?: number;
    readonly updateStreamMs?: number;
    /** Of an account. */
    readonly shardLimit?: number;
  }
  /** In memory, unless it is given a path. */
  export default function kinesalite(options?: KinesaliteOptions): Server;
}
