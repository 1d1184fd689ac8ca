/** The commands that a tracker has in hand, by session and by thing. */
import type { Timer } from '../kernel/clock.ts';

/** A command that is being sent or waits for its answer or its end. */
export interface Active<Stored extends CommandKey> {
  readonly stored: Stored;
  attempts: number;
  state: 'publishing' | 'awaitingAnswer' | 'awaitingThing' | 'ended';
  /** The thing came back while a publish was under way. */
  thingCameBack: boolean;
  timer: Timer | undefined;
}

interface CommandKey {
  readonly SessionId: string;
  readonly ThingName: string;
}

export class ActiveCommands<Stored extends CommandKey> {
  readonly #bySession = new Map<string, Active<Stored>>();
  readonly #byThing = new Map<string, Set<Active<Stored>>>();

  get size(): number {
    return this.#bySession.size;
  }

  get(sessionId: string): Active<Stored> | undefined {
    return this.#bySession.get(sessionId);
  }

  /** In the order they were taken in. */
  ofThing(thingName: string): Active<Stored>[] {
    return [...(this.#byThing.get(thingName) ?? [])];
  }

  add(active: Active<Stored>): void {
    const { SessionId, ThingName } = active.stored;
    this.#bySession.set(SessionId, active);
    const ofThing = this.#byThing.get(ThingName);
    if (ofThing === undefined) this.#byThing.set(ThingName, new Set([active]));
    else ofThing.add(active);
  }

  delete(active: Active<Stored>): void {
    const { SessionId, ThingName } = active.stored;
    this.#bySession.delete(SessionId);
    const ofThing = this.#byThing.get(ThingName);
    ofThing?.delete(active);
    if (ofThing?.size === 0) this.#byThing.delete(ThingName);
  }

  /** Forgets all of them; none goes on by itself. */
  clear(): void {
    for (const { timer } of this.#bySession.values()) timer?.cancel();
    this.#bySession.clear();
    this.#byThing.clear();
  }
}
