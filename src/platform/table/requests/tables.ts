/** CreateTable, UpdateTable and the other calls about tables. */
import { resourceNotAllowed } from '../errors.ts';
import { checkCreateTable } from './create-table.ts';
import { keySchemaOf, tableKeySchema } from './key-schema.ts';
import {
  flag,
  indexName,
  type Member,
  type Members,
  namePattern,
  type Request,
  type RequestDescription,
  type StructureShape,
  type TextShape,
  text,
} from './shapes.ts';
import { checkUpdateTable } from './update-table.ts';
import { refusal } from './values.ts';

/** Required first and on its own; at least three characters, whatever the call. */
const tableName: Member = { ...indexName, required: true };
const existingTableName: Member = { ...tableName, orArn: true };

const requiredText: Member = { ...text, required: true };
const units: Member = { type: 'long', min: 1, required: true };

const provisionedThroughput: StructureShape = {
  type: 'structure',
  name: 'ProvisionedThroughput',
  members: { WriteCapacityUnits: units, ReadCapacityUnits: units },
};
const onDemandThroughput: StructureShape = {
  type: 'structure',
  name: 'OnDemandThroughput',
  members: { MaxReadRequestUnits: { type: 'long' }, MaxWriteRequestUnits: { type: 'long' } },
};
const warmThroughput: StructureShape = {
  type: 'structure',
  name: 'WarmThroughput',
  members: { ReadUnitsPerSecond: { type: 'long', min: 1 }, WriteUnitsPerSecond: { type: 'long', min: 1 } },
};
const streamSpecification: StructureShape = {
  type: 'structure',
  name: 'StreamSpecification',
  members: {
    StreamEnabled: { ...flag, required: true },
    StreamViewType: { type: 'string', values: ['NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES', 'KEYS_ONLY'] },
  },
};
const sseSpecification: StructureShape = {
  type: 'structure',
  name: 'SSESpecification',
  members: { Enabled: flag, SSEType: { type: 'string', values: ['AES256', 'KMS'] }, KMSMasterKeyId: text },
};
const billingMode: TextShape = { type: 'string', values: ['PROVISIONED', 'PAY_PER_REQUEST'] };
const tableClass: TextShape = { type: 'string', values: ['STANDARD', 'STANDARD_INFREQUENT_ACCESS'] };
const tag: StructureShape = {
  type: 'structure',
  name: 'Tag',
  members: { Key: requiredText, Value: requiredText },
};
const unsupportedText: Member = { ...text, unsupported: true };
const unsupportedList: Member = { type: 'list', of: text, unsupported: true };

const attributeDefinitions: Member = {
  type: 'list',
  of: {
    type: 'structure',
    name: 'AttributeDefinition',
    members: {
      AttributeName: { ...requiredText, type: 'string', lengthMin: 1, lengthMax: 255 },
      AttributeType: { type: 'string', required: true, values: ['B', 'N', 'S'] },
    },
  },
};

const globalKeysMax = 8; // DynamoDB: four partition and four sort attributes
const localKeysMax = 2; // DynamoDB LocalSecondaryIndex

const projection: Member = {
  type: 'structure',
  name: 'Projection',
  required: true,
  members: {
    ProjectionType: { type: 'string', values: ['ALL', 'INCLUDE', 'KEYS_ONLY'] },
    NonKeyAttributes: { type: 'list', lengthMin: 1, of: text },
  },
};

const indexMembers = (lengthMax: number): Members => ({
  IndexName: { ...indexName, required: true },
  KeySchema: keySchemaOf(undefined, lengthMax),
  Projection: projection,
});

const globalIndexMembers: Members = {
  ...indexMembers(globalKeysMax),
  ProvisionedThroughput: provisionedThroughput,
  OnDemandThroughput: onDemandThroughput,
  WarmThroughput: warmThroughput,
};

const indexUpdate: StructureShape = {
  type: 'structure',
  name: 'GlobalSecondaryIndexUpdate',
  members: {
    Update: {
      type: 'structure',
      name: 'UpdateGlobalSecondaryIndexAction',
      members: {
        IndexName: { ...indexName, required: true },
        ProvisionedThroughput: provisionedThroughput,
        OnDemandThroughput: onDemandThroughput,
        WarmThroughput: warmThroughput,
      },
    },
    Create: { type: 'structure', name: 'CreateGlobalSecondaryIndexAction', members: globalIndexMembers },
    Delete: {
      type: 'structure',
      name: 'DeleteGlobalSecondaryIndexAction',
      members: { IndexName: { ...indexName, required: true } },
    },
  },
};

const settings: Members = {
  StreamSpecification: streamSpecification,
  SSESpecification: sseSpecification,
  TableClass: tableClass,
  DeletionProtectionEnabled: flag,
  OnDemandThroughput: onDemandThroughput,
  WarmThroughput: warmThroughput,
  GlobalTableSettingsReplicationMode: unsupportedText,
};

const ofOneTable = {
  wording: 'older',
  tableNameFirst: true,
  members: { TableName: existingTableName },
} as const satisfies RequestDescription;

export const tableRequests = {
  CreateTable: {
    wording: 'older',
    tableNameFirst: true,
    members: {
      AttributeDefinitions: { ...attributeDefinitions, required: true },
      TableName: tableName,
      BillingMode: billingMode,
      ProvisionedThroughput: provisionedThroughput,
      KeySchema: tableKeySchema,
      GlobalSecondaryIndexes: {
        type: 'list',
        of: { type: 'structure', name: 'GlobalSecondaryIndex', members: globalIndexMembers },
      },
      LocalSecondaryIndexes: {
        type: 'list',
        of: { type: 'structure', name: 'LocalSecondaryIndex', members: indexMembers(localKeysMax) },
      },
      Tags: { type: 'list', of: tag },
      ...settings,
      ResourcePolicy: unsupportedText,
      GlobalTableSourceArn: unsupportedText,
      VectorIndexes: unsupportedList,
    },
    check: checkCreateTable,
  },
  DescribeTable: ofOneTable,
  UpdateTable: {
    wording: 'older',
    tableNameFirst: true,
    members: {
      TableName: existingTableName,
      ProvisionedThroughput: provisionedThroughput,
      BillingMode: billingMode,
      GlobalSecondaryIndexUpdates: { type: 'list', of: indexUpdate },
      AttributeDefinitions: attributeDefinitions,
      ...settings,
      ReplicaUpdates: unsupportedList,
      MultiRegionConsistency: unsupportedText,
      GlobalTableWitnessUpdates: unsupportedList,
      DisassociationProtectionEnabled: { ...flag, unsupported: true },
      VectorIndexUpdates: unsupportedList,
    },
    check: checkUpdateTable,
  },
  DeleteTable: ofOneTable,
  ListTables: {
    wording: 'older',
    members: { Limit: { type: 'integer', min: 1, max: 100 }, ExclusiveStartTableName: indexName },
  },
  DescribeTimeToLive: ofOneTable,
  UpdateTimeToLive: {
    wording: 'older',
    tableNameFirst: true,
    members: {
      TableName: existingTableName,
      TimeToLiveSpecification: {
        type: 'structure',
        name: 'TimeToLiveSpecification',
        required: true,
        members: {
          AttributeName: { ...requiredText, type: 'string', lengthMax: 255 },
          Enabled: { ...flag, required: true },
        },
      },
    },
    check({ TimeToLiveSpecification }, { wording }) {
      const { AttributeName } = TimeToLiveSpecification as Request; // a cast: types were checked
      if (AttributeName === '') throw refusal('TimeToLiveSpecification.AttributeName must be non empty', wording);
    },
  },
  DescribeContinuousBackups: ofOneTable,
  DescribeLimits: { wording: 'older', members: {} },
  DescribeEndpoints: { wording: 'older', members: {} },
  TagResource: {
    wording: 'older',
    members: { ResourceArn: text, Tags: { type: 'list', of: tag } },
    check({ ResourceArn, Tags }, { wording }) {
      checkResourceArn('TagResource', ResourceArn, { member: 'tags', value: Tags });
      if (Array.isArray(Tags) && Tags.length > 0) return;
      throw refusal('Atleast one Tag needs to be provided as Input.', wording);
    },
  },
  UntagResource: {
    wording: 'older',
    members: { ResourceArn: text, TagKeys: { type: 'list', of: text } },
    check({ ResourceArn, TagKeys }, { wording }) {
      checkResourceArn('UntagResource', ResourceArn, { member: 'tagKeys', value: TagKeys });
      if (Array.isArray(TagKeys) && TagKeys.length > 0) return;
      throw refusal('Atleast one Tag Key needs to be provided as Input.', wording);
    },
  },
  ListTagsOfResource: {
    wording: 'older',
    members: { ResourceArn: text, NextToken: text },
    check({ ResourceArn }) {
      checkResourceArn('ListTagsOfResource', ResourceArn);
    },
  },
} as const satisfies Record<string, RequestDescription>;

const anyArn = /^(?:[^:]+:){5}[^/]+\/./;
const tableArn = new RegExp(`^arn:[a-z-]+:dynamodb:[^:]+:\\d+:table/(?=.{3})${namePattern}$`);

/**
 * What is no ARN is refused for want of a right to it, but as what it is in a call that is complete: so the service was
 * seen to do.
 */
function checkResourceArn(action: string, arn: unknown, also?: { member: string; value: unknown }): void {
  if (arn === undefined) throw refusal('Invalid TableArn', 'older');
  const text = String(arn);
  if (also?.value === undefined) {
    if (!anyArn.test(text)) throw resourceNotAllowed(action, text);
    if (also !== undefined) {
      throw refusal(
        `1 validation error detected: Value null at '${also.member}' failed to satisfy constraint: Member must not be null`,
        'older',
      );
    }
  }
  if (!tableArn.test(text)) throw refusal(`Invalid TableArn: Invalid ResourceArn provided as input ${text}`, 'older');
}
