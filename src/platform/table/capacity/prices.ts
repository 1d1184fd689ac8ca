/** What capacity costs where it is paid for: DynamoDB on demand, Standard class, before tax, free tiers and discounts. */
export const onDemandPrices = {
  region: 'us-east-1',
  /** When the list was looked at; prices move. */
  asOf: '2026-08-21',
  dollarsPerMillion: { read: 0.125, write: 0.625 }, // AWS Price List, request units
} as const;
