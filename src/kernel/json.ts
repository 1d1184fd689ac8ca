/**
 * JSON from outside. Throws SyntaxError for what is not JSON, and for strings that are not well-formed Unicode (half a
 * surrogate pair, which only an escape can bring in): no store keeps those.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // JSON.stringify writes surrogates as escapes only where they stand alone.
  if (/\\u[dD]/.test(text) && /\\ud[89a-f][0-9a-f]{2}/.test(JSON.stringify(value))) {
    throw new SyntaxError('a string is not well-formed Unicode');
  }
  return value;
}
