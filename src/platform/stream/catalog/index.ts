export { type CatalogOptions, isStreamName, type NewStream, StreamCatalog } from './catalog.ts';
export type { CatalogStream } from './catalog-stream.ts';
export { bytesOf } from './cursors.ts';
export { directoryOf as streamDirectoryOf, logDirectoryOf as streamLogDirectoryOf } from './directories.ts';
export { type EmbeddedEngineOptions, embeddedEngines } from './embedded-engine.ts';
export type { CatalogEngine } from './engine.ts';
export { ShardsTooManyError, StreamInUseError } from './errors.ts';
export { catalogLimits } from './limits.ts';
export type { StreamMode, StreamSettings, StreamStatus } from './settings.ts';
