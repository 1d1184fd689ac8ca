import type { CapacityReport } from '../../app/index.ts';
import { capacityOff } from '../problems.ts';
import type { OperatorRoute } from './operator.ts';
import { capacityPath } from './paths.ts';

/** @param capacity  undefined: nothing is accounted for */
export function capacityRoutes(
  capacity: ((hotPartitions: number | undefined) => CapacityReport) | undefined,
): OperatorRoute[] {
  const answer: OperatorRoute['answer'] = c => {
    if (capacity === undefined) throw capacityOff();
    const top = Number(c.req.query('top') ?? Number.NaN);
    return c.json(capacity(Number.isInteger(top) ? top : undefined));
  };
  return [{ method: 'GET', path: capacityPath, answer }];
}
