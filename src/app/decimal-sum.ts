/** Exact sums of JavaScript numbers, as text: adding and taking away in any order gives back what was there before. */

/** `sum + sign × value`; the sum in digits, with a point if need be. */
export function addExactly(sum: string, value: number, sign: 1 | -1): string {
  const left = scaledOf(sum);
  const right = scaledOf(String(value));
  const scale = Math.max(left.scale, right.scale);
  const total = raised(left, scale) + BigInt(sign) * raised(right, scale);
  return textOf(total, scale);
}

interface Scaled {
  readonly units: bigint;
  /** Digits behind the point. */
  readonly scale: number;
}

function scaledOf(text: string): Scaled {
  const [mantissa, exponent = '0'] = text.split('e');
  const [integer, fraction = ''] = mantissa.split('.');
  const scale = fraction.length - Number(exponent);
  const units = BigInt(integer + fraction);
  return scale >= 0 ? { units, scale } : { units: units * 10n ** BigInt(-scale), scale: 0 };
}

function raised({ units, scale }: Scaled, to: number): bigint {
  return units * 10n ** BigInt(to - scale);
}

function textOf(units: bigint, scale: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  const fraction = digits.slice(point).replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${digits.slice(0, point)}${fraction === '' ? '' : '.'}${fraction}`;
}
