// Values of the model: DynamoDB's wire form, compared and added in the simplest way that is right.

export type Wire =
  | { S: string }
  | { N: string }
  | { B: string }
  | { BOOL: boolean }
  | { NULL: true }
  | { L: Wire[] }
  | { M: WireItem }
  | { SS: string[] }
  | { NS: string[] }
  | { BS: string[] };
export type WireItem = { [name: string]: Wire };
export type Tag = 'S' | 'N' | 'B' | 'BOOL' | 'NULL' | 'L' | 'M' | 'SS' | 'NS' | 'BS';

/** Numbers as whole multiples of 10^-scale: every number DynamoDB takes is one. */
const scale = 170;

export function tagOf(value: Wire): Tag {
  return Object.keys(value)[0] as Tag; // a wire value has one key, its tag
}

export function contentOf(value: Wire): unknown {
  return Object.values(value)[0];
}

export function numberOf(text: string): bigint {
  const [mantissa, power = '0'] = text.toLowerCase().split('e');
  const [integer, fraction = ''] = mantissa.replace(/^[+-]/, '').split('.');
  const magnitude = BigInt(integer + fraction) * 10n ** BigInt(scale - fraction.length + Number(power));
  return text.startsWith('-') ? -magnitude : magnitude;
}

/** Plain notation; undefined when DynamoDB would refuse the number. */
export function numberText(value: bigint): string | undefined {
  const sign = value < 0n ? '-' : '';
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  const integer = digits.slice(0, -scale);
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  if ((integer + fraction).replace(/^0+|0+$/g, '').length > 38 || integer.length > 126) return undefined;
  return `${sign}${integer}${fraction === '' ? '' : `.${fraction}`}`;
}

/** One text for equal values, whatever they are: sets sorted, names sorted, numbers in one form. */
export function canonical(value: Wire): string {
  const tag = tagOf(value);
  if ('N' in value) return `N:${numberOf(value.N)}`;
  if ('NS' in value) return `NS:${JSON.stringify(value.NS.map(each => String(numberOf(each))).sort())}`;
  if ('SS' in value) return `SS:${JSON.stringify([...value.SS].sort())}`;
  if ('BS' in value) return `BS:${JSON.stringify([...value.BS].sort())}`;
  if ('L' in value) return `L:[${value.L.map(canonical).join()}]`;
  if ('M' in value) return `M:${canonicalItem(value.M)}`;
  return `${tag}:${JSON.stringify(contentOf(value))}`;
}

export function canonicalItem(item: WireItem): string {
  const names = Object.keys(item).sort();
  return `{${names.map(name => `${JSON.stringify(name)}:${canonical(item[name])}`).join()}}`;
}

/** Undefined: they have no order. */
export function orderOf(left: Wire, right: Wire): number | undefined {
  if ('N' in left && 'N' in right) return sign(numberOf(left.N) - numberOf(right.N));
  if ('S' in left && 'S' in right) return Buffer.compare(Buffer.from(left.S), Buffer.from(right.S));
  if ('B' in left && 'B' in right) return Buffer.compare(Buffer.from(left.B, 'base64'), Buffer.from(right.B, 'base64'));
  return undefined;
}

function sign(value: bigint): number {
  if (value === 0n) return 0;
  return value < 0n ? -1 : 1;
}

/** As DynamoDB answers it: numbers in plain notation, at any depth. */
export function normalized(value: Wire): Wire {
  if ('N' in value) return { N: numberText(numberOf(value.N)) ?? value.N };
  if ('NS' in value) return { NS: value.NS.map(each => numberText(numberOf(each)) ?? each) };
  if ('L' in value) return { L: value.L.map(normalized) };
  if ('M' in value) return { M: normalizedItem(value.M) };
  return value;
}

export function normalizedItem(item: WireItem): WireItem {
  return Object.fromEntries(Object.entries(item).map(([name, value]) => [name, normalized(value)]));
}
