import { commandTopic } from '../app/index.ts';

/** Which command's request goes out on this topic, and to whom; undefined when it is none of the application's. */
export function requestOn(
  application: string,
  topic: string,
): { readonly command: string; readonly thingName: string } | undefined {
  const [, , command, thingName] = topic.split('/');
  if (thingName === undefined || topic !== commandTopic(application, command, thingName, 'req')) return undefined;
  return { command, thingName };
}
