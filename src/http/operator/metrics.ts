import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context, Hono } from 'hono';
import { type MetricCollector, prometheusContentType, prometheusText, type Sample } from '../../ops/index.ts';
import { noSuchRoute } from '../problems.ts';
import type { OperatorRoute } from './operator.ts';
import { metricsPath, openMetricsPath } from './paths.ts';

export interface MetricsAnswer {
  readonly samples: readonly Sample[];
}

/** As text for Prometheus; with `?format=json` as the samples are. */
export function metricRoutes(collector: MetricCollector): OperatorRoute[] {
  const answer: OperatorRoute['answer'] = async c => {
    const samples = await collector.collect();
    if (c.req.query('format') === 'json') return c.json({ samples } satisfies MetricsAnswer);
    return c.body(prometheusText(samples), 200, { 'Content-Type': prometheusContentType });
  };
  return [{ method: 'GET', path: metricsPath, answer }];
}

/** The same without a token, for a Prometheus on this machine. To be added only when the operator wants that. */
export function addOpenMetrics(api: Hono, collector: MetricCollector): void {
  api.get(openMetricsPath, async c => {
    if (!isLocal(c)) throw noSuchRoute('GET', openMetricsPath);
    c.header('Cache-Control', 'no-store');
    return c.body(prometheusText(await collector.collect()), 200, { 'Content-Type': prometheusContentType });
  });
}

const loopback = /^(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/;
const localHost = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d+)?$/i;
const forwarded = ['Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Real-IP', 'Via'];

/** From this machine, by a name of it, and not handed on by a proxy: a page elsewhere must not reach it either. */
function isLocal(c: Context): boolean {
  const isHandedOn = forwarded.some(name => c.req.header(name) !== undefined);
  if (isHandedOn || !localHost.test(c.req.header('Host') ?? '')) return false;
  try {
    return loopback.test(getConnInfo(c).remote.address ?? '');
  } catch {
    return false; // Not asked over a socket, so nobody knows by whom.
  }
}
