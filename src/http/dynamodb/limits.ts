/** What DynamoDB's protocol takes beyond what every endpoint does (`aws-json/limits.ts`). */
export const dynamoDbLimits = {
  jsonDepthMax: 1_000, // ours: DynamoDB answers 100 levels of maps, two of JSON each, with words about nesting
} as const;
