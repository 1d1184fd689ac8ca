import { messageOf } from '../kernel/errors.ts';

const stopDeadlineMs = 10_000; // ours: then it ends without ceremony

/** The first signal stops cleanly, the second at once. */
export function stopOnSignal(stop: () => Promise<void>): void {
  let stopping = false;
  const onSignal = () => {
    if (stopping) process.exit(130);
    stopping = true;
    setTimeout(() => process.exit(1), stopDeadlineMs).unref();
    stop().then(
      () => process.exit(0),
      error => {
        console.error(`mimamori: ${messageOf(error)}`);
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

/** SIGHUP ends a process that does not listen for it. One that comes during the start counts once that is done. */
export function listenForHangups(): { handle(onHangup: () => void): void } {
  let isDue = false;
  let act = () => {
    isDue = true;
  };
  process.on('SIGHUP', () => act());
  return {
    handle(onHangup) {
      act = onHangup;
      if (isDue) act();
    },
  };
}
