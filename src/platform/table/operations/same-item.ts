/** Throws when two of the plans are about the same item. Item keys begin with the table's id, so tables do not mix. */
export function refuseDuplicates(plans: readonly { readonly itemKey: Uint8Array }[], refusal: () => Error): void {
  const keys = new Set<string>();
  for (const { itemKey } of plans) keys.add(Buffer.from(itemKey).toString('latin1'));
  if (keys.size < plans.length) throw refusal();
}
