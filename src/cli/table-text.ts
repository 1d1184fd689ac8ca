/** Rows in columns as wide as what is in them. */

/** @param textColumns  so many from the left are text; numbers are aligned to the right */
export function columns(rows: readonly (readonly string[])[], textColumns: number): string[] {
  if (rows.length === 0) return [];
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)));
  const cell = (text: string, column: number) =>
    column < textColumns ? text.padEnd(widths[column]) : text.padStart(widths[column]);
  return rows.map(row => `  ${row.map(cell).join('  ')}`.trimEnd());
}
