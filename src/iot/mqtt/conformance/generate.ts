/** `npm run conformance`: writes docs/mqtt-conformance.md from the citations in the sources. */
import { writeFileSync } from 'node:fs';
import { openClauses, readConformance, renderConformance } from './report.ts';
import { documentPath, readSources } from './sources.ts';

const report = readConformance(await readSources());
writeFileSync(documentPath, renderConformance(report));
for (const citation of report.mistaken) process.stderr.write(`no such clause: ${citation}\n`);
process.stdout.write(`docs/mqtt-conformance.md is written; ${openClauses(report).length} clauses have no test.\n`);
