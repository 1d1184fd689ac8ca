import type { Message } from './client-state.ts';
import { levelEnd } from './level-tree.ts';
import type { SortedByTopic } from './sorted-by-topic.ts';

export const replayLimits = {
  stepsPerNextMax: 64, // ours: places looked at before the others have their turn; 0.1 ms, even when none matches
};

export interface RetainedReplayParts {
  readonly messages: SortedByTopic<Message>;
  readonly topicFilter: string;
  readonly hashMatchesParent: boolean;
  /** Removes the message of the topic, which has expired. */
  readonly expire: (topic: string) => void;
}

/**
 * The retained messages that match a filter, one by one, at the pace of whoever takes them, while messages are set and
 * deleted. It remembers only where it is, so it costs the same for one match and for a million, and needs no closing
 * (hostile D07). A topic comes at most once, with the message it has then.
 */
export class RetainedReplay {
  readonly #parts: RetainedReplayParts;
  /** The first topic that may come next; undefined = none. */
  #from: string | undefined;
  /** Whether `#from` itself has been. */
  #isBehind = false;

  constructor(parts: RetainedReplayParts) {
    this.#parts = parts;
    this.#from = parts.topicFilter.replace(/\/?#$/, '').split('+', 1)[0]; // The levels before the first wildcard.
  }

  /** @returns undefined when there are no more; 'later' when it has looked long enough for once: ask again in a while */
  next(nowMs: number): Message | 'later' | undefined {
    const { messages, topicFilter, hashMatchesParent, expire } = this.#parts;
    for (let step = 0; step < replayLimits.stepsPerNextMax && this.#from !== undefined; step++) {
      const message = this.#isBehind ? messages.firstAfter(this.#from) : messages.firstFrom(this.#from);
      this.#from = message && nextMatchFrom(topicFilter, message.topic, hashMatchesParent);
      this.#isBehind = this.#from === message?.topic;
      if (!message || !this.#isBehind) continue;
      if (!isExpired(message, nowMs)) return message;
      expire(message.topic);
    }
    return this.#from === undefined ? undefined : 'later';
  }
}

export function isExpired(message: Message, nowMs: number): boolean {
  return message.expiresAtMs !== undefined && message.expiresAtMs <= nowMs;
}

/**
 * Where to go on looking from `topic`, in the order of topics: `topic` itself when it matches, else a text between which
 * and `topic` nothing matches, undefined when nothing behind `topic` does.
 */
export function nextMatchFrom(topicFilter: string, topic: string, hashMatchesParent: boolean): string | undefined {
  // A wildcard at the first level never matches a topic that begins with $ [MQTT311 4.7.2-1] [MQTT5 4.7.2-1].
  if (topic.startsWith('$') && /^[+#]/.test(topicFilter)) return behindDollar;
  let inFilter = 0;
  let inTopic = 0;
  let afterPlus = false;
  for (;;) {
    const filterLevelEnd = levelEnd(topicFilter, inFilter);
    const topicLevelEnd = levelEnd(topic, inTopic);
    const filterIsDone = filterLevelEnd === topicFilter.length;
    const level = topicFilter.slice(inFilter, filterLevelEnd);
    if (level === '#') return topic;
    if (level === '+') {
      afterPlus = true;
    } else if (level !== topic.slice(inTopic, topicLevelEnd)) {
      const above = topic.slice(0, inTopic);
      const wanted = above + level;
      if (topic < wanted) return wanted;
      // "b-1" stands between "b" and "b/c".
      if (!filterIsDone && topic < `${wanted}/`) return `${wanted}/`;
      return afterPlus ? behindAll(above) : undefined;
    }
    if (topicLevelEnd === topic.length) {
      const isMatch = filterIsDone || (hashMatchesParent && topicFilter.slice(filterLevelEnd) === '/#');
      if (isMatch) return topic;
      // What matches further levels is below this topic; but beside it, too, where any name will do.
      return level === '+' ? `${topic}\0` : `${topic}/`;
    }
    if (filterIsDone) return behindAll(topic.slice(0, topicLevelEnd + 1));
    inFilter = filterLevelEnd + 1;
    inTopic = topicLevelEnd + 1;
  }
}

const behindDollar = '%'; // the character after $

/** Behind everything that begins with `prefix`, which ends with a slash: "0" is the character after it. */
function behindAll(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}
