import { ApiError } from '../app/index.ts';
import { codeOf, MimamoriError } from '../kernel/errors.ts';
import { FunctionRefusal } from '../platform/functions/index.ts';

/** RFC 9457 problem details, with our stable code and what to do. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly fix: string;
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  507: 'Insufficient Storage',
};

/** Errors of the layers below, by their code, in HTTP's words. Everything else is ours and tells nothing. */
const statusOfCode: Readonly<Record<string, number>> = {
  'entity.notFound': 404,
  'entity.exists': 409,
  'entity.versionConflict': 409,
  'entity.notUnique': 409,
  'entity.questionNotValid': 400,
  'entity.patternBuilding': 503,
  'entity.batchIncomplete': 503,
  'table.throttled': 503,
  'entity.notValid': 400,
  'entity.cursorNotValid': 400,
  'thing.exists': 409,
  'store.full': 507,
  'stream.full': 507,
  'function.timedOut': 503,
  'logs.questionNotValid': 400,
  'logs.tooManyFollowers': 503,
  'alarms.notFound': 404,
  'function.throttled': 429,
  'function.budgetExceeded': 429,
  'function.inProgress': 409,
  'function.notFound': 404,
  'function.notInvocable': 409,
};

export function problemOf(error: unknown): Problem {
  if (error instanceof MimamoriError) {
    const status = error instanceof ApiError ? error.status : statusOfCode[error.code];
    if (status !== undefined) return problem(status, error);
  }
  return problem(500, {
    code: 'api.internal',
    message: 'Something went wrong on our side.',
    fix: `Try again; if it stays, look for this code in the server's log: ${codeOf(error)}.`,
  });
}

/** Seconds after which a caller that was refused may ask again; undefined: nobody knows. */
export function retryAfterSecondsOf(error: unknown): number | undefined {
  const ms = error instanceof FunctionRefusal ? error.retryAfterMs : undefined;
  return ms === undefined ? undefined : Math.max(1, Math.ceil(ms / 1_000));
}

function problem(status: number, { code, message, fix }: { code: string; message: string; fix: string }): Problem {
  return { type: `urn:mimamori:${code}`, title: titles[status] ?? 'Error', status, code, detail: message, fix };
}

export const unauthorized = () =>
  new ApiError(401, {
    code: 'api.unauthorized',
    message: 'The request needs a valid bearer token.',
    fix: 'Send "Authorization: Bearer <token>"; `mimamori token --user NAME` prints one, given --app and --data as this backend was.',
  });

export const notOperator = () =>
  new ApiError(401, {
    code: 'api.notOperator',
    message: 'Only the operator may see or do this.',
    fix: 'Run the command (`mimamori capacity`, `mimamori logs`, …) where the data directory is; the token of a user is not enough.',
  });

export const capacityOff = () =>
  new ApiError(404, {
    code: 'capacity.off',
    message: 'Capacity is not accounted for: the app was started with --no-capacity.',
    fix: 'Start it without that option.',
  });

export const readOnlyToken = () =>
  new ApiError(403, {
    code: 'api.readOnly',
    message: 'This token may only look.',
    fix: 'Use a token of your own: `mimamori token --user NAME` prints one.',
  });

export const noSuchRoute = (method: string, path: string) =>
  new ApiError(404, {
    code: 'api.noSuchRoute',
    message: `There is no ${method} ${path.slice(0, 200)}.`,
    fix: 'See /docs for what there is.',
  });

export const notJson = () =>
  new ApiError(415, {
    code: 'api.notJson',
    message: 'The body must be JSON.',
    fix: 'Send "Content-Type: application/json" and a JSON body in UTF-8.',
  });

export const inputNotValid = (where: 'body' | 'query', problems: string) =>
  new ApiError(400, {
    code: 'api.inputNotValid',
    message: `The ${where} does not fit: ${problems}.`,
    fix: 'See /docs for the shape of it.',
  });

export const bodyTooLarge = (bytesMax: number) =>
  new ApiError(413, {
    code: 'api.bodyTooLarge',
    message: `The body is over the limit of ${bytesMax} bytes.`,
    fix: 'Send less at once.',
  });

export const tooManyWatchers = () =>
  new ApiError(503, {
    code: 'api.tooManyWatchers',
    message: 'Too many live feeds are open.',
    fix: 'Close pages that are not needed; until then the lists can be asked for again and again.',
    retryable: true,
  });
