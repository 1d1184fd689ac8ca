/**
 * Whether there is a topic that both filters match; both valid and without their share. May the one who subscribes to
 * the one ever get a message that the other lets through? Walks both once, level by level.
 */
export function overlaps(left: string, right: string): boolean {
  // A wildcard at the first level never matches a topic that begins with $ [MQTT311 4.7.2-1] [MQTT5 4.7.2-1].
  if (left.startsWith('$') ? isWildcard(right[0]) : right.startsWith('$') && isWildcard(left[0])) return false;
  // All they could share is the parent of "/#", and no topic is empty [MQTT311 4.7.3-1] [MQTT5 4.7.3-1].
  if ((left === '+' && right === '/#') || (left === '/#' && right === '+')) return false;
  const leftLevels = left.split('/');
  const rightLevels = right.split('/');
  for (let at = 0; ; at++) {
    const leftLevel = leftLevels[at];
    const rightLevel = rightLevels[at];
    // "#" takes whatever the other asks for from here on, nothing included: "sport/#" matches "sport" [MQTT5 4.7.1.2].
    if (leftLevel === '#' || rightLevel === '#') return true;
    if (leftLevel === undefined || rightLevel === undefined) return leftLevel === rightLevel;
    if (leftLevel !== rightLevel && leftLevel !== '+' && rightLevel !== '+') return false;
  }
}

function isWildcard(character: string | undefined): boolean {
  return character === '+' || character === '#';
}
