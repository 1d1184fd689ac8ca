import type { Engine } from '../engine.ts';
import type { TableLayout } from '../storage/layout.ts';

/** By name, or by the ARN that requests which only use a table may give instead. Throws `table.notFound`. */
export function tableOf({ catalog }: Engine, nameOrArn: string | undefined): TableLayout {
  return catalog.table(nameOrArn ?? '');
}
