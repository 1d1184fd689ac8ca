/** Folders of a data directory that commands look into while nothing runs on it. */
export const logsDirectory = 'logs';
