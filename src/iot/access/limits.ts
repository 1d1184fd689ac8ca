import assert from 'node:assert/strict';

/** Every bound of who may enter and of what the rules may cost, once. */
export const accessLimits = {
  fileBytesMax: 32 * 1024 * 1024, // ours: a password file of `usersMax` lines is about 20 MiB
  lineBytesMax: 4 * 1024, // ours: a topic of 1,024 bytes or a user name and a hash fit several times over
  linesPerTurn: 500, // ours: about 5 ms, then the clients have their turn; a reload must not stop the gateway
  usersMax: 100_000, // ours, per password file: as many as there may be sessions
  aclRulesMax: 100_000, // ours, per ACL file
  aclRulesPerUserMax: 10_000, // ours: one SUBSCRIBE with a wildcard looks at each of them, at most 2 ms
  aclWildcardRulesPerUserMax: 1_000, // ours: each verdict on a topic looks at each of them, at most 0.2 ms
  aclPatternsMax: 100, // ours: every client has its own copy of them, and each verdict looks at each
  usernameBytesMax: 1024, // ours; the CONNECT could hold 65,535 bytes
  passwordBytesMax: 1024, // ours: what hashing one guess may cost (hostile K08)
  hashIterationsMax: 2_000_000, // ours: about a second of one core; a guess must not cost more
  hashIterationsDefault: 100_000, // ours: about 40 ms of one core; Mosquitto 2.0 writes 101
  saltBytesMax: 64, // Mosquitto 2.0 writes 12, as we do
  hashBytes: 64, // SHA-512
  hashesAtOnceMax: 2, // ours: Node's pool has four threads, and the log's sync must always find one
  hashesWaitingMax: 256, // ours: some 5 s of waiting at the default iterations, within the 10 s a CONNECT may take
  rememberedUsersMax: 10_000, // ours: about 2 MiB
  rememberedMs: 10 * 60_000, // ours: a flapping network, not a working day
} as const;

assert(accessLimits.hashIterationsDefault <= accessLimits.hashIterationsMax);
assert(accessLimits.passwordBytesMax <= accessLimits.lineBytesMax);
