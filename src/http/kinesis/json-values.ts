/**
 * How many values a text of JSON could hold, seen before it is parsed: a body of 16 MiB of empty lists takes a second to
 * parse, on the thread that devices wait for. Text is passed over at the speed of `indexOf`.
 */
const quote = 0x22;
const backslash = 0x5c;

/** Counts what stands outside text, and quotes that are escaped inside. */
export function hasTooManyValues(json: Buffer, valuesMax: number): boolean {
  if (json.length <= valuesMax) return false;
  let count = 0;
  for (let at = 0; at < json.length; at++) {
    if (++count > valuesMax) return true;
    if (json[at] !== quote) continue;
    for (at = json.indexOf(quote, at + 1); at >= 0 && isEscaped(json, at); at = json.indexOf(quote, at + 1)) {
      if (++count > valuesMax) return true;
    }
    if (at < 0) return false; // It has no end, so it is no JSON.
  }
  return false;
}

function isEscaped(json: Buffer, at: number): boolean {
  let start = at;
  while (json[start - 1] === backslash) start--;
  return (at - start) % 2 === 1;
}
