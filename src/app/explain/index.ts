export { Explainer, type MessageQuestion } from './explainer.ts';
export type { ExplainedConsumer, ExplainedMessage, Explanation } from './port.ts';
