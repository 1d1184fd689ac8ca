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
      method =>
        `<li><a href="#${anchor(method, path)}"><b class="${method}">${method.toUpperCase()}</b> <code>${pathHtml(path)}</code></a></li>`,
    ),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${htmlText(document.info.title)} · API</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/docs.css"></head><body>
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
  return `<section id="${anchor(method, path)}"><h2><b class="${method}">${method.toUpperCase()}</b> <code>${pathHtml(path)}</code></h2>
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

/** May wrap before each slash, so that names stay whole on a phone. */
function pathHtml(path: string): string {
  return htmlText(path).replaceAll(/(?<=.)\//g, '<wbr>/');
}

function htmlText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const css = `:root { color-scheme: light dark; --paper: #faf5ec; --surface: #fffdf9; --ink: #2f2a24; --soft: #6d6356;
  --line: #e7dccb; --accent: #9a4a12; --get: #2e7d4f; --get-tint: #e0f0e3; --post: #7d3a0b; --post-tint: #f8e7d0;
  --delete: #b3342d; --delete-tint: #fbe5e0; --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
@media (prefers-color-scheme: dark) { :root { --paper: #1a1714; --surface: #24201c; --ink: #f2eadf; --soft: #b3a798;
  --line: #3a332b; --accent: #f3a95a; --get: #7fcf9b; --get-tint: #1f3326; --post: #ffc078; --post-tint: #3b2c1b;
  --delete: #ff9c90; --delete-tint: #45231f } }
html { background: var(--paper); color: var(--ink); overflow-wrap: anywhere; -webkit-text-size-adjust: 100%; text-size-adjust: 100%;
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", "Hiragino Sans", "Noto Sans JP", "Noto Sans CJK JP", "Yu Gothic UI", Meiryo, sans-serif }
body { max-width: 48rem; margin: 0 auto; padding: 2rem 1rem 5rem }
h1 { font-size: clamp(1.6rem, 1.3rem + 1.5vw, 2.1rem); line-height: 1.2; letter-spacing: -.015em; margin: 0 0 .75rem }
h2 { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem .75rem; font-size: 1.05rem; margin: 0 }
h3 { font-size: .9rem; margin: 1.1rem 0 .35rem } small { font-weight: normal; color: var(--soft) }
a { color: var(--accent); text-underline-offset: .2em } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
code, pre { font: .875em/1.55 var(--mono) } h2 code { font-size: 1rem; font-weight: 600 }
p code, pre { background: var(--surface); border: 1px solid var(--line) } p code { padding: .05em .35em; border-radius: .35rem; -webkit-box-decoration-break: clone; box-decoration-break: clone }
pre { padding: .8rem 1rem; border-radius: .75rem; overflow-x: auto; overflow-wrap: normal; margin: 0 }
section { border-top: 1px solid var(--line); padding: 1.75rem 0; scroll-margin-top: .5rem } section > p { margin: .6rem 0 }
b.get, b.post, b.delete, b.put, b.patch { flex: none; min-width: 4.4rem; padding: .1rem .5rem; border-radius: 99px; text-align: center;
  font-size: .75rem; letter-spacing: .03em; color: var(--post); background: var(--post-tint) }
b.get { color: var(--get); background: var(--get-tint) } b.delete { color: var(--delete); background: var(--delete-tint) }
.contents { list-style: none; margin: 1.5rem 0 2rem; padding: .4rem; background: var(--surface); border: 1px solid var(--line); border-radius: 1rem }
.contents a { display: flex; align-items: center; gap: .75rem; padding: .45rem .6rem; border-radius: .6rem; color: inherit; text-decoration: none }
.contents a:hover { background: var(--post-tint) }
table { border-collapse: collapse; width: 100%; font-size: .9rem } td { border-bottom: 1px solid var(--line); padding: .45rem .75rem .45rem 0; vertical-align: top }
td:last-child { padding-right: 0; color: var(--soft) }
@media print { html { background: none } section { break-inside: avoid } }
`;
