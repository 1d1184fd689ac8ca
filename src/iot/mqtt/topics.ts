import { mqttLimits } from './limits.ts';
import { isMqttString } from './utf8.ts';

/**
 * Topic names and topic filters as text: which are valid, what a filter matches, which filters it contains.
 * One pair at a time and without memory; the broker's topic tree must agree with `matches`.
 */

const sharePrefix = '$share/';

/** A topic one may publish to: [MQTT311 4.7.1-1, 4.7.3-1 … 4.7.3-3], [MQTT5 4.7.0-1, 4.7.3-1 … 4.7.3-3] and `mqttLimits`. */
export function isTopicName(text: string): boolean {
  return !text.includes('+') && !text.includes('#') && fitsLimits(text);
}

/** A filter one may subscribe to, shared subscriptions included: [MQTT5 4.7.1-1, 4.7.1-2, 4.8.2-1, 4.8.2-2]. */
export function isTopicFilter(text: string): boolean {
  if (!fitsLimits(text)) return false;
  if (!text.startsWith(sharePrefix)) return areWildcardsAlone(text);
  const shareName = shareNameOf(text);
  return shareName !== undefined && !/[+#]/.test(shareName) && areWildcardsAlone(withoutShare(text));
}

/** The `name` of `$share/name/filter`; undefined when the filter is not a shared subscription. Both versions. */
export function shareNameOf(topicFilter: string): string | undefined {
  if (!topicFilter.startsWith(sharePrefix)) return undefined;
  const nameEnd = topicFilter.indexOf('/', sharePrefix.length);
  // At least one character, followed by / and a topic filter [MQTT5 4.8.2-1, 4.8.2-2].
  const isShared = nameEnd > sharePrefix.length && nameEnd < topicFilter.length - 1;
  return isShared ? topicFilter.slice(sharePrefix.length, nameEnd) : undefined;
}

/** `filter` of `$share/name/filter`; any other filter as it is. This is what `matches` and `covers` work on. */
export function withoutShare(topicFilter: string): string {
  const shareName = shareNameOf(topicFilter);
  return shareName === undefined ? topicFilter : topicFilter.slice(sharePrefix.length + shareName.length + 1);
}

/**
 * Whether a message on `topic` goes to a subscriber of `topicFilter`; both valid, the filter without its share.
 * Characters are compared one by one, never normalised [MQTT311 4.7.3-4] [MQTT5 4.7.3-4]. Walks both texts once.
 */
export function matches(topicFilter: string, topic: string): boolean {
  // A wildcard at the first level never matches a topic that begins with $ [MQTT311 4.7.2-1] [MQTT5 4.7.2-1].
  if (topic.startsWith('$') && isWildcardAt(topicFilter, 0)) return false;
  let inFilter = 0;
  let inTopic = 0;
  for (;;) {
    if (isMultiLevelAt(topicFilter, inFilter)) return true;
    const filterLevelEnd = levelEnd(topicFilter, inFilter);
    const topicLevelEnd = levelEnd(topic, inTopic);
    if (
      !isSingleLevelAt(topicFilter, inFilter) &&
      !sameLevel(topicFilter, inFilter, filterLevelEnd, topic, inTopic, topicLevelEnd)
    ) {
      return false;
    }
    const filterIsDone = filterLevelEnd === topicFilter.length;
    if (topicLevelEnd === topic.length) {
      // "sport/#" also matches its parent "sport" [MQTT311 4.7.1.2] [MQTT5 4.7.1.2].
      return filterIsDone || isMultiLevelAt(topicFilter, filterLevelEnd + 1);
    }
    if (filterIsDone) return false;
    inFilter = filterLevelEnd + 1;
    inTopic = topicLevelEnd + 1;
  }
}

/**
 * Whether every topic that `topicFilter` could match is matched by `allowedFilter`: may someone who is allowed the one
 * subscribe to the other? Both valid and without their share. A topic is a filter that matches only itself, so this
 * also answers for a publish.
 */
export function covers(allowedFilter: string, topicFilter: string): boolean {
  // Only a filter that names its first $ level can match those topics, and a wildcard matches none of them.
  if (topicFilter.startsWith('$') && isWildcardAt(allowedFilter, 0)) return false;
  let inAllowed = 0;
  let inFilter = 0;
  for (;;) {
    if (isMultiLevelAt(allowedFilter, inAllowed)) return true;
    if (isMultiLevelAt(topicFilter, inFilter)) {
      // "#" also asks for its parent, which "+/#" leaves out. Only "#" and "/#" have no parent: no topic is empty.
      return inFilter <= 1 && allowedFilter.slice(inAllowed) === '+/#';
    }
    const allowedLevelEnd = levelEnd(allowedFilter, inAllowed);
    const filterLevelEnd = levelEnd(topicFilter, inFilter);
    // A "+" asked for is contained only in a "+" allowed: sameLevel compares it as the character it is.
    if (
      !isSingleLevelAt(allowedFilter, inAllowed) &&
      !sameLevel(allowedFilter, inAllowed, allowedLevelEnd, topicFilter, inFilter, filterLevelEnd)
    ) {
      return false;
    }
    const allowedIsDone = allowedLevelEnd === allowedFilter.length;
    if (filterLevelEnd === topicFilter.length)
      return allowedIsDone || isMultiLevelAt(allowedFilter, allowedLevelEnd + 1);
    if (allowedIsDone) return false;
    inAllowed = allowedLevelEnd + 1;
    inFilter = filterLevelEnd + 1;
  }
}

function fitsLimits(text: string): boolean {
  if (text.length === 0 || text.length > mqttLimits.topicBytesMax) return false; // a character is at least one byte
  if (!isMqttString(text) || Buffer.byteLength(text) > mqttLimits.topicBytesMax) return false;
  let levels = 1;
  for (let at = text.indexOf('/'); at !== -1; at = text.indexOf('/', at + 1)) levels++;
  return levels <= mqttLimits.topicLevelsMax;
}

/** Each wildcard has a level of its own, and # is the last one [MQTT311 4.7.1-2, 4.7.1-3] [MQTT5 4.7.1-1, 4.7.1-2]. */
function areWildcardsAlone(topicFilter: string): boolean {
  return !/[^/][+#]|[+#][^/]|#\//.test(topicFilter);
}

function levelEnd(text: string, start: number): number {
  const slash = text.indexOf('/', start);
  return slash === -1 ? text.length : slash;
}

function sameLevel(a: string, aStart: number, aEnd: number, b: string, bStart: number, bEnd: number): boolean {
  if (aEnd - aStart !== bEnd - bStart) return false;
  for (let at = aStart; at < aEnd; at++) {
    if (a.charCodeAt(at) !== b.charCodeAt(bStart + at - aStart)) return false;
  }
  return true;
}

const plus = 0x2b;
const hash = 0x23;

/** # as the last character; anywhere else it is not valid, and here it then stands only for itself. */
function isMultiLevelAt(filter: string, at: number): boolean {
  return at === filter.length - 1 && filter.charCodeAt(at) === hash;
}

function isSingleLevelAt(filter: string, at: number): boolean {
  return filter.charCodeAt(at) === plus;
}

function isWildcardAt(filter: string, at: number): boolean {
  return filter.charCodeAt(at) === plus || filter.charCodeAt(at) === hash;
}
