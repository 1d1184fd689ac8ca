import type { Member } from './shapes.ts';

/** The types of an index's keys are looked at with the whole schema, where the words are others. */
export function keySchemaOf(keyTypes: readonly string[] | undefined, lengthMax: number | undefined): Member {
  return {
    type: 'list',
    required: true,
    lengthMin: 1,
    ...(lengthMax === undefined ? {} : { lengthMax }),
    of: {
      type: 'structure',
      name: 'KeySchemaElement',
      members: {
        AttributeName: { type: 'string', required: true },
        KeyType: { type: 'string', required: true, ...(keyTypes === undefined ? {} : { values: keyTypes }) },
      },
    },
  };
}

export const tableKeySchema = keySchemaOf(['HASH', 'RANGE'], undefined);
