/** Where the operator asks. In a file of their own, so that commands need not load what answers. */
export const alarmsPath = '/operator/alarms';
export const capacityPath = '/operator/capacity';
export const consumersPath = '/operator/consumers';
export const deadLettersPath = '/operator/dead-letters';
export const explainPath = '/operator/explain';
export const functionsPath = '/operator/functions';
export const ledgerPath = '/operator/ledger';
export const levelsPath = '/operator/logs/levels';
export const logsPath = '/operator/logs';
export const metricsPath = '/operator/metrics';
export const openMetricsPath = '/metrics';
export const recordingPath = '/operator/recording';
export const redrivesPath = '/operator/redrives';
