/**
 * The files of an export. Those of one table are DynamoDB's own for an export to S3, one folder for each table:
 *
 *   AWSDynamoDB/<export id>/_started                 empty
 *                           manifest-summary.json    and .checksum, its MD5 in base64
 *                           manifest-files.json      and .checksum; a line for each data file
 *                           data/<name>.json.gz      a line {"Item": {…}} for each item; also without .gz
 *
 * Beside them lies ours, written last, so that an export that has it is complete:
 *
 *   mimamori-export.json    which tables, at which moment, and what makes them again
 *
 * Source of DynamoDB's part: Amazon DynamoDB Developer Guide, "DynamoDB table export output format".
 */
import { hash } from 'node:crypto';
import type { Random } from '../../../kernel/random.ts';
import type { TableCreation } from './creation.ts';

export const exportFormatVersion = 1;
export const contentsName = 'mimamori-export.json';
/** Until the export is complete: what of it is. */
export const stateName = 'mimamori-export.state';
export const tablesFolder = 'AWSDynamoDB';

/** `mimamori-export.json`. */
export interface ExportContents {
  readonly version: number;
  /** Whether all of it is of one moment; else items written meanwhile may be there or not. */
  readonly isSnapshot: boolean;
  /** ISO 8601. */
  readonly exportTime: string;
  readonly tables: readonly ExportedTable[];
}

export interface ExportedTable {
  readonly tableName: string;
  readonly exportId: string;
  readonly itemCount: number;
  readonly creation: TableCreation;
}

/** A line of `manifest-files.json`. */
export interface DataFileEntry {
  readonly itemCount: number;
  readonly md5Checksum: string;
  readonly etag: string;
  readonly dataFileS3Key: string;
}

/** What we need of `manifest-summary.json`. */
export interface ExportSummary {
  readonly tableArn: string;
  readonly itemCount: number;
  readonly outputFormat: string;
  readonly exportType?: string;
}

/** As DynamoDB makes them: when, and something that makes two of one millisecond differ. */
export function newExportId(atMs: number, random: Random): string {
  return `${String(atMs).padStart(14, '0')}-${Buffer.from(random.bytes(4)).toString('hex')}`;
}

export function dataFileEntry(exportId: string, fileName: string, itemCount: number, md5: string): DataFileEntry {
  const hex = Buffer.from(md5, 'base64').toString('hex');
  const dataFileS3Key = `${tablesFolder}/${exportId}/data/${fileName}`;
  return { itemCount, md5Checksum: md5, etag: hex, dataFileS3Key };
}

export interface SummaryFacts {
  readonly exportId: string;
  readonly tableArn: string;
  readonly tableId: string;
  readonly itemCount: number;
  readonly bytes: number;
  readonly exportAtMs: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export function summaryOf(facts: SummaryFacts): object {
  const { exportId, tableArn, tableId, itemCount, bytes } = facts;
  const timeOf = (atMs: number) => new Date(atMs).toISOString();
  return {
    version: '2020-06-30',
    exportArn: `${tableArn}/export/${exportId}`,
    startTime: timeOf(facts.startedAtMs),
    endTime: timeOf(facts.endedAtMs),
    tableArn,
    tableId,
    exportTime: timeOf(facts.exportAtMs),
    s3Bucket: '',
    s3Prefix: null,
    s3SseAlgorithm: null,
    s3SseKmsKeyId: null,
    manifestFilesS3Key: `${tablesFolder}/${exportId}/manifest-files.json`,
    billedSizeBytes: bytes,
    itemCount,
    outputFormat: 'DYNAMODB_JSON',
    exportType: 'FULL_EXPORT',
  };
}

/** In base64, as the manifests have it. */
export function md5Of(bytes: Uint8Array): string {
  return hash('md5', bytes, 'base64');
}
