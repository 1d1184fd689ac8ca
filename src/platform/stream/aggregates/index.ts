/** What a tumbling window can remember of its records: plain values, so that they survive as JSON, and can be merged. */
export { aggregateLimits } from './limits.ts';
export { mergeSketches, type QuantileSketch, quantileOf, sketchOf } from './quantile-sketch.ts';
export { emptySummary, meanOf, mergeSummaries, type Summary, summaryOf, totalOf } from './summary.ts';
export { isExact, mergeTopLists, rankOf, type TopEntry, type TopList, topListOf, topOf } from './top-list.ts';
