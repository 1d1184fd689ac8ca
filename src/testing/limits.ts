export const testingLimits = {
  idleMsMax: 600_000, // ours: of virtual time, for what is under way to end
  happenMsMax: 60_000, // ours: of virtual time, for what a test waits for
  outsideWaitMsMax: 500, // ours: of real time, for a handler that waits for nothing of ours (a file, a server of the test)
  idleTurnsMax: 1_000, // ours: of a real millisecond each, for what only happens outside (a thread pool)
  instancesMax: 2_000, // ours: copies of an app's modules in a process, some 200 kB each; then they are used again
  instancesPerApp: 2, // as few as show that one invocation does not see what another has left in memory
  messagesKept: 100_000, // ours: of those that a test can look at, the newest
  linesKept: 100_000, // ours: log lines, invocations and alarms each
  presenceRepeatMsMin: 20, // ours: how long a repeated presence event is on its way,
  presenceRepeatMsMax: 200, // so that it may arrive after a later one
  reorderedMsMax: 1_000, // ours: how long a message that was to come later waits for one to overtake it
  fixtureAttemptsMax: 50, // ours: values tried until one passes a refinement
  fixtureDepthMax: 32, // ours: of nested schemas; recursion ends where it can
  loadedAtOnceMax: 1_000, // ours: entities written at the same time
  recordingLinesMax: 1_000_000, // ours: of one recording
  recordingLineBytesMax: 2 * 1024 * 1024, // ours: a record of the stream holds 1 MiB, in base64 a third more
} as const;
