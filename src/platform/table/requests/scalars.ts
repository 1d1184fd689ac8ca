/** Text, flags and numbers of a request, and DynamoDB's words for something else in their place. */
import { malformed } from '../errors.ts';

export function readBoolean(value: unknown): boolean {
  if (typeof value !== 'string') return refuseScalar(value, 'Boolean');
  const word = value.toUpperCase();
  if (word === 'TRUE' || word === '1' || word === 'YES') return true;
  if (word === 'FALSE' || word === '0' || word === 'NO') return false;
  throw malformed('Unexpected token received from parser');
}

export function refuseScalar(value: unknown, type: 'String' | 'Boolean' | 'Integer' | 'Long'): never {
  switch (typeof value) {
    case 'boolean':
      throw malformed(`${value ? 'TRUE' : 'FALSE'}_VALUE cannot be converted to ${type}`);
    case 'number':
      throw malformed(`${Number.isInteger(value) ? 'NUMBER' : 'DECIMAL'}_VALUE cannot be converted to ${type}`);
    case 'string':
      throw malformed(`STRING_VALUE cannot be converted to ${type}`);
    default:
      throw Array.isArray(value)
        ? malformed(`Unrecognized collection type class java.lang.${type}`)
        : malformed('Start of structure or map found where not expected');
  }
}
