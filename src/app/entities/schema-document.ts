/** The schema of an app as a document for people: entities, questions, keys, costs. The same text for the same model. */
import type { EntityMap } from './definition.ts';
import {
  type EntityReport,
  type PatternReport,
  type SchemaReport,
  schemaReport,
  type WriteCost,
} from './schema-report.ts';

/** Markdown. Throws `entity.definitionNotValid`. */
export function schemaDocument(application: string, entities: EntityMap): string {
  const report = schemaReport(application, entities);
  const sections = [
    `# What ${application} stores`,
    `Written by \`mimamori schema\`; \`--check\` says when it is stale. One table, \`${report.table}\`, with keys \`PK\` and \`SK\`, and one index, \`${report.index}\`, on \`SK\` and \`SortKey\`.`,
    ...(report.warnings.length > 0 ? ['## Warnings', report.warnings.map(text => `- ${text}`).join('\n')] : []),
    '## Entities',
    diagram(report),
    '## Questions',
    'Nothing else can be asked. A cost is in requests for one page.',
    questions(report),
    '## Keys',
    keys(report),
    '## Writes',
    'Records per write, with the changes of the index that follow, and write units while every record is up to 1 KB. *Update*: of an attribute in no key. *At most*: every key changes. Where all old versions are kept, a deletion deletes each of them too.',
    writes(report),
  ];
  return `${sections.join('\n\n')}\n`;
}

function diagram({ entities }: SchemaReport): string {
  const lines = ['```mermaid', 'erDiagram'];
  for (const { name, attributes, relations, within } of entities) {
    lines.push(`  ${name} {`);
    for (const attribute of attributes)
      lines.push(
        `    ${attribute.type.replace('?', '')} ${attribute.name}${attribute.isId ? ' PK' : ''}${attribute.type.endsWith('?') ? ' "optional"' : ''}`,
      );
    lines.push('  }');
    if (within) lines.push(`  ${within} ||--o{ ${name} : holds`);
    for (const relation of relations) {
      const many =
        relation.kind === 'one by key' ? `${relation.entity} ||--o{ ${name}` : `${name} ||--o{ ${relation.entity}`;
      lines.push(`  ${many} : ${relation.name}`);
    }
  }
  return [...lines, '```'].join('\n');
}

function questions({ entities }: SchemaReport): string {
  const rows = entities.flatMap(({ patterns }) =>
    patterns.map(pattern => [
      code(pattern.question),
      scope(pattern),
      pattern.index ? code(pattern.index) : 'table',
      code(pattern.keyCondition),
      pattern.order,
      String(pattern.shards),
      pattern.isUnique ? 'yes' : '',
      String(pattern.requests),
    ]),
  );
  return tableOf(['question', 'answer', 'index', 'key condition', 'order', 'shards', 'unique', 'cost'], rows);
}

function scope({ scope, keeps }: PatternReport): string {
  const who = scope === 'all' ? 'all' : 'some (`when`)';
  return keeps === 'everything' ? who : `${who}; ${keeps.join(', ')}`;
}

function keys({ entities }: SchemaReport): string {
  const rows = entities.flatMap(({ name, records }) =>
    records.map(({ record, PK, SK, SortKey }) => [name, record, code(PK), code(SK), SortKey ? code(SortKey) : '']),
  );
  return tableOf(['entity', 'record', 'PK', 'SK', 'SortKey'], rows);
}

function writes({ entities }: SchemaReport): string {
  const rows = entities.map(({ name, writes: { create, update, updateMost, delete: remove } }: EntityReport) => [
    name,
    ...[create, update, updateMost, remove].map(costText),
  ]);
  return tableOf(['entity', 'create', 'update', 'at most', 'delete'], rows);
}

function costText({ records, indexEntries, writeUnits }: WriteCost): string {
  return `${records} + ${indexEntries} (${writeUnits} ${writeUnits === 1 ? 'unit' : 'units'})`;
}

function code(text: string): string {
  return `\`${text}\``;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
