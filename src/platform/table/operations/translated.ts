/**
 * What a request says that was translated from parameters of before expressions, and that no expression can say. It is
 * noted beside the request, where nothing that comes over the wire can have put it.
 */
export interface Translation {
  /** DynamoDB measures what comes of AttributeUpdates; of an UpdateExpression it measures the statement, too. */
  readonly isMeasuredByResult?: true;
  /** Attributes whose key condition has an operator that no range of keys can stand for. */
  readonly notIndexable?: ReadonlySet<string>;
}

/** Whether expressions of a request were made of other parameters. */
export function isTranslated(request: object): boolean {
  return translations.has(request);
}

const translations = new WeakMap<object, Translation>();
const none: Translation = {};

export function noteTranslation<Request extends object>(request: Request, translation: Translation): Request {
  translations.set(request, translation);
  return request;
}

export function translationOf(request: object): Translation {
  return translations.get(request) ?? none;
}
