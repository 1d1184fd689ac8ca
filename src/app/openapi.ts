import { z } from 'zod';
import type { App } from './define-app.ts';
import type { Route, RouteOptions } from './model.ts';

type Json = Record<string, unknown>;

const problemSchema = {
  type: 'object',
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable; match on this' },
    detail: { type: 'string' },
    fix: { type: 'string', description: 'What to do about it' },
  },
  required: ['type', 'title', 'status', 'code', 'detail', 'fix'],
};

/** The app's HTTP API as an OpenAPI 3.1 document. */
export function openApiOf({ model, routes }: App): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: model.application, version: '1' },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { Problem: problemSchema },
    },
  };
}

/** What a route answers when all went well. */
export function statusOf({ status, answer }: RouteOptions): 200 | 201 | 202 | 204 {
  return status ?? (answer ? 200 : 204);
}

function operationOf({ path, options }: Route): Json {
  const inPath = [...path.matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const content = options.answer && { 'application/json': { schema: schemaOf(options.answer, 'output') } };
  const done = { description: content ? 'Done' : 'Done; no body', content };
  const problem = {
    description: 'Refused; the code says why',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
  return {
    summary: options.summary,
    parameters: [...inPath, ...queryParametersOf(options.query)],
    requestBody: options.body && {
      required: true,
      content: { 'application/json': { schema: schemaOf(options.body, 'input') } },
    },
    responses: { [statusOf(options)]: done, default: problem },
  };
}

function queryParametersOf(query: z.ZodObject | undefined): Json[] {
  if (!query) return [];
  const { properties = {}, required = [] } = schemaOf(query, 'input') as { properties?: Json; required?: string[] }; // Of an object schema.
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}
