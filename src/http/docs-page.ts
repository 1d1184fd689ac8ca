import { type App, openApiOf } from '../app/index.ts';
import type { PageFile } from './api.ts';

interface Operation {
  readonly summary: string;
  readonly parameters: { name: string; in: string; required: boolean; schema: Record<string, unknown> }[];
  readonly requestBody?: { content: { 'application/json': { schema: unknown } } };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema: unknown }> }>;
}

/** The API reference as two files without a script: it reads the same offline, on a phone and in print. */
export function docsPage(app: App): Record<string, PageFile> {
  return {
    '/docs': { contentType: 'text/html; charset=utf-8', text: html(app) },
    '/docs.css': { contentType: 'text/css; charset=utf-8', text: css },
  };
}

function html(app: App): string {
  const document = openApiOf(app) as { info: { title: string }; paths: Record<string, Record<string, Operation>> }; // Made by us.
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(method, path, operation)),
  );
  const contents = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(
      method => `<li><a href="#${anchor(method, path)}"><b>${method.toUpperCase()}</b> ${htmlText(path)}</a></li>`,
    ),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${htmlText(document.info.title)} · API</title><link rel="stylesheet" href="/docs.css"></head><body>
<h1>${htmlText(document.info.title)} API</h1>
<p>Every request needs <code>Authorization: Bearer &lt;token&gt;</code>; <code>npx mimamori token --user NAME</code> prints one.
Refusals are <code>application/problem+json</code> with a stable <code>code</code> and a <code>fix</code>.
The same as <a href="/openapi.json">OpenAPI</a>. <a href="/">Back to the page</a>.</p>
<ul class="contents">${contents.join('')}</ul>
${operations.join('\n')}
</body></html>`;
}

function section(method: string, path: string, operation: Operation): string {
  const parameters = operation.parameters.map(
    ({ name, in: where, required, schema }) =>
      `<tr><td><code>${htmlText(name)}</code></td><td>${where}${required ? '' : ', optional'}</td><td>${htmlText(describe(schema))}</td></tr>`,
  );
  const body = operation.requestBody?.content['application/json'].schema;
  const responses = Object.entries(operation.responses)
    .filter(([status]) => status !== 'default')
    .map(([status, { description, content }]) => {
      const schema = content?.['application/json']?.schema;
      return `<h3>${status} <small>${htmlText(description)}</small></h3>${schema ? block(schema) : ''}`;
    });
  return `<section id="${anchor(method, path)}"><h2><b class="${method}">${method.toUpperCase()}</b> <code>${htmlText(path)}</code></h2>
<p>${htmlText(operation.summary)}</p>
${parameters.length > 0 ? `<table><tbody>${parameters.join('')}</tbody></table>` : ''}
${body ? `<h3>Body</h3>${block(body)}` : ''}${responses.join('')}</section>`;
}

function block(schema: unknown): string {
  return `<pre>${htmlText(shape(schema, ''))}</pre>`;
}

interface JsonSchema {
  readonly type?: string;
  readonly enum?: unknown[];
  readonly properties?: Record<string, JsonSchema>;
  readonly required?: string[];
  readonly items?: JsonSchema;
  readonly description?: string;
}

/** A schema the way a person writes an example of it: names, types, and what is optional. */
function shape(value: unknown, indent: string): string {
  const schema = value as JsonSchema; // Made by `z.toJSONSchema`.
  if (schema.properties) {
    const lines = Object.entries(schema.properties).map(([name, property]) => {
      const optional = schema.required?.includes(name) ? '' : '?';
      const note = property.description ? `   // ${property.description}` : '';
      return `${indent}  ${name}${optional}: ${shape(property, `${indent}  `)}${note}`;
    });
    return `{\n${lines.join('\n')}\n${indent}}`;
  }
  if (schema.items) return `[ ${shape(schema.items, indent)} ]`;
  if (schema.enum) return schema.enum.map(each => JSON.stringify(each)).join(' | ');
  return schema.type ?? 'any';
}

function describe(schema: Record<string, unknown>): string {
  const { type, minimum, maximum, default: fallback, description } = schema;
  const range = minimum !== undefined && maximum !== undefined ? ` ${minimum}–${maximum}` : '';
  const otherwise = fallback === undefined ? '' : `, default ${fallback}`;
  return `${type ?? 'any'}${range}${otherwise}${description ? ` · ${description}` : ''}`;
}

function anchor(method: string, path: string): string {
  return `${method}${path.replaceAll(/[^a-zA-Z0-9]+/g, '-')}`;
}

function htmlText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const css = `:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem } h2 { font-size: 1.05rem; margin: 0 } h3 { font-size: .9rem; margin: 1rem 0 .25rem }
small { font-weight: normal; opacity: .7 } code, pre { font: .85rem/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; border-radius: .5rem; overflow-x: auto; margin: 0 }
section { border-top: 1px solid var(--line); padding: 1.25rem 0 } h2 code { overflow-wrap: anywhere }
h2 b { display: inline-block; min-width: 4.2rem } .get { color: #0a7d4b } .post { color: #2563c9 } .delete { color: #c02b3c }
@media (prefers-color-scheme: dark) { .get { color: #4cc98f } .post { color: #7fb0ff } .delete { color: #ff8a95 } }
.contents { list-style: none; padding: 0 } .contents a { text-decoration: none } .contents b { display: inline-block; min-width: 4.2rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem } td { border-bottom: 1px solid var(--line); padding: .3rem .5rem .3rem 0; vertical-align: top }
`;
