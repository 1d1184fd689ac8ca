/** What an index shows of an item: its keys, the table's, and what is projected besides. */

import { measureItem } from '../values/measure.ts';
import { type Item, setOwn } from '../values/value.ts';
import { type IndexLayout, keyAttributes, type TableLayout } from './layout.ts';

export interface IndexView {
  readonly isWhole: boolean;
  shows(name: string): boolean;
  cut(item: Item): Item;
  /** Size of what is shown. */
  measure(item: Item, itemBytes: number): number;
}

const views = new WeakMap<IndexLayout, IndexView>();

/** The same for an index as long as its layout is. */
export function viewOf(table: TableLayout, index: IndexLayout): IndexView {
  const known = views.get(index);
  if (known !== undefined) return known;
  const view = index.projection === 'ALL' ? wholeView : partView(table, index, index.projection);
  views.set(index, view);
  return view;
}

const wholeView: IndexView = {
  isWhole: true,
  shows: () => true,
  cut: item => item,
  measure: (_item, itemBytes) => itemBytes,
};

function partView(table: TableLayout, index: IndexLayout, projected: readonly string[]): IndexView {
  const keys = [...keyAttributes(table.keys), ...keyAttributes(index.keys)].map(({ name }) => name);
  const names = new Set([...keys, ...projected]);
  const cut = (item: Item): Item => {
    const shown: Item = {};
    for (const name of Object.keys(item)) if (names.has(name)) setOwn(shown, name, item[name]);
    return shown;
  };
  return { isWhole: false, shows: name => names.has(name), cut, measure: item => measureItem(cut(item)) };
}
