/** What Query and Scan read and show: the table or which index, and which attributes. */
import { invalid } from '../errors.ts';
import { readableIndex } from '../storage/entries.ts';
import { viewOf } from '../storage/index-view.ts';
import type { IndexLayout, TableLayout } from '../storage/layout.ts';
import type { ReadPaths, ReadPredicate, ReadProjection } from './expressions.ts';

export interface SelectionParameters {
  readonly Select?: string;
  readonly IndexName?: string;
  readonly ConsistentRead?: boolean;
}

/** The index a request names, if any. Throws DynamoDB's refusals of one that cannot be read, or not so. */
export function selectedIndex(
  table: TableLayout,
  { IndexName: indexName, ConsistentRead }: SelectionParameters,
): IndexLayout | undefined {
  if (indexName === undefined) return undefined;
  const index = readableIndex(table, indexName);
  if (index.kind === 'global' && ConsistentRead === true) {
    throw invalid('Consistent reads are not supported on global secondary indexes');
  }
  return index;
}

/** Whether items have to be fetched from the table for what the index does not show. Only a local index does that. */
export function needsFetch(
  table: TableLayout,
  index: IndexLayout,
  { Select: select }: SelectionParameters,
  projection: ReadProjection | undefined,
): boolean {
  const view = viewOf(table, index);
  if (view.isWhole) return false;
  if (select === 'ALL_ATTRIBUTES') {
    if (index.kind === 'local') return true;
    throw invalid(
      `One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index ${index.indexName} because its projection type is not ALL`,
    );
  }
  const missing = projection === undefined ? [] : namesMissing(table, index, projection.paths);
  if (missing.length === 0 || index.kind === 'local') return missing.length > 0;
  throw invalid(
    `One or more parameter values were invalid: Global secondary index ${index.indexName} does not project [${missing.join(', ')}]`,
  );
}

/**
 * Query refuses a filter on what the index does not show; Scan just finds no such attribute. Seen for global indexes;
 * that it is so for local ones is concluded from the words (unverified).
 */
export function refuseUnseenFilter(table: TableLayout, index: IndexLayout, { paths }: ReadPredicate): void {
  const missing = namesMissing(table, index, paths);
  if (missing.length === 0) return;
  throw invalid(
    `One or more parameter values were invalid: Secondary index ${index.indexName} does not project one or more filter attributes: [${missing.join(', ')}]`,
  );
}

function namesMissing(table: TableLayout, index: IndexLayout, paths: ReadPaths): string[] {
  const view = viewOf(table, index);
  return view.isWhole ? [] : [...paths.names()].filter(name => !view.shows(name));
}
