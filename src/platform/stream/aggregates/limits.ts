export const aggregateLimits = {
  sketchBucketsMax: 2_048, // ours: at 1 % they span seventeen powers of ten; then the smallest values share one
  sketchAccuracy: 0.01, // ours: a quantile is at most 1 % of its value off
  topListCapacity: 1_000, // ours: names counted exactly; about 30 KB of JSON
  topListCapacityMax: 100_000, // ours: with names of 100 bytes, 10 MB
} as const;
