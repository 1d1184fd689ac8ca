/** Values with their types spelled out and bytes as bytes, as the SDK's commands of `client-dynamodb` take and give them. */
import { toAttributeValues } from './attribute-value.ts';
import type { ValueFormat } from './format.ts';
import { wireFormat } from './wire-format.ts';

export const typedFormat: ValueFormat = { readItem: wireFormat.readItem, writeItem: toAttributeValues };
