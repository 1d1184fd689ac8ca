import { readFile } from 'node:fs/promises';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { streamSSE } from 'hono/streaming';
import { openApiOf, problemsOf, type Route, type Runtime, statusOf } from '../app/index.ts';
import type { CallCounter, InvocationUse } from '../kernel/call-counter.ts';
import { codeOf, messageOf } from '../kernel/errors.ts';
import { parseJson } from '../kernel/json.ts';
import type { Log } from '../kernel/log.ts';
import type { ApiCalls } from './api-calls.ts';
import { docsPage } from './docs-page.ts';
import type { Feed } from './feed.ts';
import { isTooDeep } from './json.ts';
import { httpLimits } from './limits.ts';
import { addOperatorRoutes, type OperatorOptions } from './operator/index.ts';
import {
  bodyTooLarge,
  inputNotValid,
  noSuchRoute,
  notJson,
  problemOf,
  readOnlyToken,
  retryAfterSecondsOf,
  tooManyWatchers,
  unauthorized,
} from './problems.ts';
import type { Caller, Tokens } from './tokens.ts';

export interface ApiOptions {
  readonly runtime: Runtime;
  readonly tokens: Tokens;
  readonly feed: Feed;
  readonly log: Log;
  /** A user whose data anybody may look at, e.g. the simulated household; its page opens without a token. */
  readonly demoUser?: string;
  /** Answers say what they have used of the table's capacity. Default: not. */
  readonly tracesRequests?: boolean;
  /** For whoever records them. Default: nobody is told of requests. */
  readonly calls?: ApiCalls;
  /** Absent in a test, which asks directly. */
  readonly operator?: OperatorOptions;
  /** Facts for /healthz. */
  readonly health: () => Promise<Record<string, unknown>>;
}

/** How long a route may take. */
const routeTimeoutMs = 10_000;

/** The HTTP API derived from an app. The same value answers on Node, in a test without a port, and on Lambda. */
export function makeApi(options: ApiOptions): Hono {
  const { runtime } = options;
  const api = new Hono();
  api.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      strictTransportSecurity: false, // Plain HTTP on a local network; whoever terminates TLS sets it.
    }),
  );
  api.use(
    bodyLimit({
      maxSize: httpLimits.bodyBytesMax,
      onError: () => Promise.reject(bodyTooLarge(httpLimits.bodyBytesMax)),
    }),
  );
  api.get('/healthz', async c => c.json({ status: 'ok', ...(await options.health()) }));
  api.get('/openapi.json', c => c.json(openApiOf(runtime.app)));
  for (const [path, file] of Object.entries(docsPage(runtime.app))) serve(api, path, async () => file);
  for (const [path, load] of Object.entries(pageFiles(runtime.app.page))) serve(api, path, load);
  api.get('/demo-token', async c => {
    c.header('Cache-Control', 'no-store');
    if (options.demoUser === undefined) throw noSuchRoute('GET', '/demo-token');
    return c.json({
      user: options.demoUser,
      token: await options.tokens.issue({ user: options.demoUser, readOnly: true }),
    });
  });
  api.get('/v1/live', async c => {
    const { user } = await authenticate(c, options);
    if (options.feed.isFull) throw tooManyWatchers();
    return streamSSE(c, async stream => {
      const gone = new AbortController();
      stream.onAbort(() => gone.abort());
      await stream.writeSSE({ event: 'ready', data: '{}' });
      const beat = setInterval(() => void stream.write(': still here\n\n'), httpLimits.feedHeartbeatMs);
      try {
        for await (const announcement of options.feed.watch(`user/${user}`, gone.signal)) {
          await stream.writeSSE({ event: announcement.type, data: JSON.stringify(announcement) });
        }
      } finally {
        clearInterval(beat);
      }
    });
  });
  if (options.operator) addOperatorRoutes(api, options.operator);
  for (const route of runtime.app.routes) addRoute(api, route, options);
  api.notFound(c => answerProblem(c, noSuchRoute(c.req.method, c.req.path), options.log));
  api.onError((error, c) => answerProblem(c, error, options.log));
  return api;
}

function addRoute(api: Hono, route: Route, options: ApiOptions): void {
  const { runtime } = options;
  // The request has been validated against the schemas that the handler's type was made from.
  const handler = route.handler as (request: unknown, context: unknown) => Promise<unknown>;
  const path = route.path.replaceAll(/\{([a-zA-Z]+)\}/g, ':$1');
  const nowMs = () => runtime.context.clock.nowMs();
  api.on(route.method, path, c => {
    const userOf = async () => (await authenticate(c, options)).user;
    const answer = () => answerRequest(c);
    return options.calls ? options.calls.noting(c, { answer, userOf, nowMs }) : answer();
  });
  const answerRequest = async (c: Context) => {
    const { user, readOnly } = await authenticate(c, options);
    if (readOnly && route.method !== 'GET') throw readOnlyToken();
    const params = c.req.param();
    if (!Object.values<string>(params).every(isParameter)) throw noSuchRoute(c.req.method, c.req.path);
    const request = { params, query: readQuery(c, route), body: await readBody(c, route), user };
    const functionName = `${route.method} ${route.path}`;
    const showUse = ({ use }: CallCounter) => {
      if (options.tracesRequests) c.header('Mimamori-Consumed', useText(use));
    };
    const call = { functionName, trigger: 'route', timeoutMs: routeTimeoutMs } as const;
    const answer = await runtime.invoke(call, context => handler(request, context), showUse);
    c.header('Cache-Control', 'no-store');
    const status = statusOf(route.options);
    return status === 204 ? c.body(null, 204) : c.json(answer as object, status); // As `answer`'s schema types it.
  };
}

/** As a header: `calls=2, read=1.5, write=0`. */
function useText({ calls, readUnits, writeUnits }: InvocationUse): string {
  return `calls=${calls}, read=${readUnits}, write=${writeUnits}`;
}

/** An id is short; anything longer is nobody's, and not worth asking the table for. */
function isParameter(value: string): boolean {
  return value.length <= httpLimits.parameterCharactersMax && value.isWellFormed();
}

async function authenticate(c: Context, { tokens }: ApiOptions): Promise<Caller> {
  const header = c.req.header('Authorization') ?? '';
  const caller = header.startsWith('Bearer ') ? await tokens.check(header.slice('Bearer '.length)) : undefined;
  if (!caller) throw unauthorized();
  return caller;
}

function readQuery(c: Context, { options }: Route): unknown {
  if (!options.query) return undefined;
  const parsed = options.query.safeParse(c.req.query());
  if (!parsed.success) throw inputNotValid('query', problemsOf(parsed.error));
  return parsed.data;
}

async function readBody(c: Context, { options }: Route): Promise<unknown> {
  if (!options.body) return undefined;
  const contentType = c.req.header('Content-Type') ?? '';
  if (!/^application\/json(\s*;\s*charset=utf-8)?$/i.test(contentType)) throw notJson();
  const text = await c.req.text();
  if (isTooDeep(text, httpLimits.jsonDepthMax))
    throw inputNotValid('body', `it nests deeper than ${httpLimits.jsonDepthMax} levels`);
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    throw inputNotValid('body', 'it is not JSON in well-formed Unicode');
  }
  const parsed = options.body.safeParse(json);
  if (!parsed.success) throw inputNotValid('body', problemsOf(parsed.error));
  return parsed.data;
}

function answerProblem(c: Context, error: unknown, log: Log): Response {
  const problem = problemOf(error);
  if (problem.status >= 500) {
    log.error(
      { method: c.req.method, path: c.req.path.slice(0, 200), code: codeOf(error), reason: messageOf(error) },
      'A request failed.',
    );
  }
  const headers: Record<string, string> = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' };
  if (problem.status === 401) headers['WWW-Authenticate'] = 'Bearer';
  const retryAfterSeconds = retryAfterSecondsOf(error);
  if (retryAfterSeconds !== undefined) headers['Retry-After'] = String(retryAfterSeconds);
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

/** A file of a page: its type and its text. */
export interface PageFile {
  readonly contentType: string;
  readonly text: string;
}

function serve(api: Hono, path: string, load: () => Promise<PageFile>): void {
  api.get(path, async c => {
    const { contentType, text } = await load();
    c.header('Content-Type', contentType);
    c.header('Cache-Control', 'no-cache');
    return c.body(text);
  });
}

/** The app's page is an HTML file with a script and a style sheet of the same name beside it: a fixed map, no paths. */
function pageFiles(page: URL | undefined): Record<string, () => Promise<PageFile>> {
  if (!page) return {};
  const load = (extension: string, contentType: string) => async () => {
    const url = new URL(page.href.replace(/\.html$/, extension));
    return { contentType, text: await readFile(url, 'utf8') };
  };
  return {
    '/': load('.html', 'text/html; charset=utf-8'),
    '/page.js': load('.js', 'text/javascript; charset=utf-8'),
    '/page.css': load('.css', 'text/css; charset=utf-8'),
  };
}
