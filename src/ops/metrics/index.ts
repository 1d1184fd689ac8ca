export { AppMetrics } from './app-metrics.ts';
export { MetricCollector } from './collector.ts';
export { type EmfDocument, type EmfMetric, EmfMetrics, type EmfUnit, emfLine } from './emf.ts';
export { FunctionMetrics, hasFailed, type InvocationMeasure } from './function-metrics.ts';
export { KeySkew } from './key-skew.ts';
export { type OtlpOptions, OtlpPusher, type OtlpPusherOptions, otlpBody, type PostJson } from './otlp.ts';
export { prometheusContentType, prometheusText } from './prometheus.ts';
export {
  counter,
  type Distribution,
  gauge,
  Histogram,
  type MetricSource,
  quantile,
  type Sample,
  secondsBounds,
} from './sample.ts';
export {
  type ConsumerMeasures,
  consumerSource,
  counterSource,
  type DiskSpace,
  diskSource,
  type FunctionState,
  functionSource,
  gaugeSource,
  logSource,
  processSource,
  type ShardMeasures,
} from './sources.ts';
