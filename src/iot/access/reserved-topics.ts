/** What only the server itself says something on, whatever the rules are (hostile A04). */
const reservedPrefixes = ['$SYS', '$CONTROL', '$share', '$aws/events'];

/** Whether no client may publish to `topic`. */
export function isReservedTopic(topic: string): boolean {
  return topic.startsWith('$') && reservedPrefixes.some(prefix => topic === prefix || topic.startsWith(`${prefix}/`));
}
