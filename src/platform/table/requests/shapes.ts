/**
 * How a request is described: members with their types and what DynamoDB's service model asks of them. Tables of these
 * stand in one file per family of calls; nothing in them runs.
 */
export type Shape =
  | TextShape
  | NumberShape
  | { readonly type: 'boolean' }
  | ValueShape
  | ListShape
  | MapShape
  | StructureShape;

export interface TextShape {
  readonly type: 'string';
  readonly pattern?: string;
  readonly lengthMin?: number;
  readonly lengthMax?: number;
  /** In the order DynamoDB prints them. */
  readonly values?: readonly string[];
  /** An empty text is told this length, and nothing else. */
  readonly emptyLengthMin?: number;
  /** A table's ARN is as good as its name, up to 1,024 characters. */
  readonly orArn?: true;
}

export interface NumberShape {
  readonly type: 'integer' | 'long';
  readonly min?: number;
  readonly max?: number;
}

/** An attribute value. In process it is any JavaScript value, and not looked into here. */
export interface ValueShape {
  readonly type: 'value';
}

export interface ListShape {
  readonly type: 'list';
  readonly of: Shape;
  readonly lengthMin?: number;
  readonly lengthMax?: number;
  /** The service reads a list or map inside a map by another way, which words a wrong type otherwise. */
  readonly isNested?: true;
}

export interface MapShape {
  readonly type: 'map';
  readonly of: Shape;
  /** What DynamoDB's message calls the type of its values. */
  readonly javaType: string;
  readonly lengthMin?: number;
  readonly keys?: Pick<TextShape, 'pattern' | 'lengthMin' | 'lengthMax' | 'orArn'>;
  /** Repeated in refusals as JSON, not as Java prints it. */
  readonly echoesJson?: true;
  /** Lengths of the lists it holds. */
  readonly valueLengths?: { readonly min: number; readonly max: number };
  readonly isNested?: true;
}

export interface StructureShape {
  readonly type: 'structure';
  readonly name: string;
  readonly members: Members;
}

export type Members = Readonly<Record<string, Member>>;

export type Member = Shape & {
  readonly required?: true;
  /** From before expressions: read at the endpoint, where it is translated, and refused in process. */
  readonly legacy?: true;
  /** DynamoDB knows it and the engine does not: refused, as ignoring it would give something else than was asked for. */
  readonly unsupported?: true;
};

/**
 * How an operation words its refusals. DynamoDB has moved operations to newer wording one by one, Region by Region; an
 * operation here has the wording most Regions had in public captures of October 2026.
 * - `older`: every constraint with the value that failed it.
 * - `newer`: some constraints without their value and the parameter spelled as in the request.
 * - `enveloped`: as `newer`, and all that is found before the table is looked at begins `1 validation error detected: `.
 */
export type Wording = 'older' | 'newer' | 'enveloped';

/** What is known of one operation before any data is looked at. */
export interface RequestDescription {
  readonly members: Members;
  readonly wording: Wording;
  /** Members checked first, each on its own; the newer wordings name them as the request does. */
  readonly alone?: readonly string[];
  /** Of several enums that hold none of their values, only the first of these is reported. */
  readonly firstEnumOf?: readonly string[];
  /** Wrong names of a batch's tables are reported before all else, or only when no enum is wrong. */
  readonly tableNames?: 'first' | 'afterEnums';
  /** `The parameter 'TableName' is required`, before all else. */
  readonly tableNameFirst?: true;
  /** Constraints DynamoDB words or orders in a way of its own; run when all others hold. */
  readonly check?: (request: Request, context: CheckContext) => void;
}

export interface CheckContext {
  readonly wording: Wording;
  /** Values have their types spelled out; else they are JavaScript values, checked when they are read. */
  readonly isWire: boolean;
  /** What the parameter from before expressions says is refused here if it makes no sense. */
  readonly checkLegacy: (parameter: LegacyConditionsName) => void;
}

/** Parameters from before expressions whose values DynamoDB looks at between those of others. */
export type LegacyConditionsName = 'QueryFilter' | 'ScanFilter' | 'KeyConditions';

/** Who reads these parameters checks them; in process they were refused before. */
export type LegacyCheck = (parameter: LegacyConditionsName, request: Request, wording: Wording) => void;

/** A request whose types were checked: members have the types their shapes name, or are absent. */
export type Request = Readonly<Record<string, unknown>>;

/** What items and keys are made of. */
export const attributeMap: MapShape = {
  type: 'map',
  javaType: 'com.amazonaws.dynamodb.v20120810.AttributeValue',
  of: { type: 'value' },
};
export const nameMap: MapShape = { type: 'map', javaType: 'java.lang.String', of: { type: 'string' } };
export const text: TextShape = { type: 'string' };
export const flag = { type: 'boolean' } as const satisfies Shape;

export const namePattern = '[a-zA-Z0-9_.-]+';
export const indexName: TextShape = { type: 'string', pattern: namePattern, lengthMin: 3, lengthMax: 255 };
/** Of a table that must exist. */
export const tableName: TextShape = { ...indexName, emptyLengthMin: 1, orArn: true };
export const requiredTable: Member = { ...tableName, required: true };
/** Of an item, or all of one. */
export const key: Member = { ...attributeMap, required: true };

export const returnConsumedCapacity: TextShape = { type: 'string', values: ['INDEXES', 'TOTAL', 'NONE'] };
export const returnItemCollectionMetrics: TextShape = { type: 'string', values: ['SIZE', 'NONE'] };
export const returnValues: TextShape = {
  type: 'string',
  values: ['ALL_NEW', 'UPDATED_OLD', 'ALL_OLD', 'NONE', 'UPDATED_NEW'],
};
export const returnValuesOnFailure: TextShape = { type: 'string', values: ['ALL_OLD', 'NONE'] };
export const conditionalOperator: Member = { type: 'string', values: ['OR', 'AND'], legacy: true };
export const comparisonOperator: TextShape = {
  type: 'string',
  values: [
    'IN',
    'NULL',
    'BETWEEN',
    'LT',
    'NOT_CONTAINS',
    'EQ',
    'GT',
    'NOT_NULL',
    'NE',
    'LE',
    'BEGINS_WITH',
    'GE',
    'CONTAINS',
  ],
};

export const attributesToGet: Member = { type: 'list', of: text, lengthMin: 1, lengthMax: 255, legacy: true };

const attributeValueList: Member = { type: 'list', of: { type: 'value' } };
const requiredOperator: Member = { ...comparisonOperator, required: true };

const conditionsOf = (members: Members): Member => ({
  type: 'map',
  javaType: 'com.amazonaws.dynamodb.v20120810.Condition',
  legacy: true,
  of: { type: 'structure', name: 'Condition', members },
});

/** QueryFilter, ScanFilter. */
export const filterConditions = conditionsOf({
  AttributeValueList: attributeValueList,
  ComparisonOperator: requiredOperator,
});
/** The same, read in another order. */
export const keyConditions = conditionsOf({
  ComparisonOperator: requiredOperator,
  AttributeValueList: attributeValueList,
});

export const expected: Member = {
  type: 'map',
  javaType: 'com.amazonaws.dynamodb.v20120810.ExpectedAttributeValue',
  legacy: true,
  of: {
    type: 'structure',
    name: 'ExpectedAttributeValue',
    members: {
      AttributeValueList: attributeValueList,
      ComparisonOperator: comparisonOperator,
      Exists: flag,
      Value: { type: 'value' },
    },
  },
};
