import pino from 'pino';

/** Structured lines: facts first, then one plain sentence. Values are JSON, so nothing from outside can forge a line. */
export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Lines of JSON on standard error; standard output belongs to the command's own answers. */
export function openLog(level: 'info' | 'warn' | 'error' | 'silent' = 'warn'): Log {
  return limited(pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2)));
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

const linesPerSecondMax = 20; // ours, per message: an attacker must not be able to fill the disk

/** At most so many lines a second of one kind; the next line after a pause says how many were left out. */
function limited(log: Log): Log {
  const seen = new Map<string, { second: number; lines: number; leftOut: number }>();
  const pass = (level: 'info' | 'warn' | 'error', facts: object, message: string) => {
    const second = Math.floor(performance.now() / 1_000);
    let kind = seen.get(message);
    if (!kind) {
      kind = { second, lines: 0, leftOut: 0 };
      if (seen.size < 1_000) seen.set(message, kind);
    }
    if (kind.second !== second) {
      kind.second = second;
      kind.lines = 0;
    }
    if (++kind.lines > linesPerSecondMax) {
      kind.leftOut++;
      return;
    }
    log[level](kind.leftOut > 0 ? { ...facts, leftOut: kind.leftOut } : facts, message);
    kind.leftOut = 0;
  };
  return {
    info: (facts, message) => pass('info', facts, message),
    warn: (facts, message) => pass('warn', facts, message),
    error: (facts, message) => pass('error', facts, message),
  };
}
