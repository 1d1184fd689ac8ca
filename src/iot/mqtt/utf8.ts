/**
 * Strict UTF-8, as MQTT wants it: no overlong forms, no surrogates, no U+0000, nothing above U+10FFFF.
 * Control characters and non-characters (U+FEFF, U+FFFF, …) are accepted and kept: the standard only says a sender
 * SHOULD NOT use them [MQTT311 1.5.3] [MQTT5 1.5.4], and a byte-for-byte comparison needs no opinion about them.
 */

/** How many bytes the well-formed sequence at `at` has (2–4), or 0. `at` holds a byte above 0x7f. Unicode table 3-7. */
export function sequenceBytes(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at];
  if (lead < 0xc2 || lead > 0xf4) return 0; // a continuation byte, an overlong form, or above U+10FFFF
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (end - at < length) return 0;
  const second = bytes[at + 1];
  if ((second & 0xc0) !== 0x80) return 0;
  if (lead === 0xe0 && second < 0xa0) return 0; // overlong
  if (lead === 0xed && second > 0x9f) return 0; // surrogates [MQTT311 1.5.3-1] [MQTT5 1.5.4-1]
  if (lead === 0xf0 && second < 0x90) return 0; // overlong
  if (lead === 0xf4 && second > 0x8f) return 0; // above U+10FFFF
  if (length > 2 && (bytes[at + 2] & 0xc0) !== 0x80) return 0;
  if (length > 3 && (bytes[at + 3] & 0xc0) !== 0x80) return 0;
  return length;
}

/** Whether bytes `start` to `end` are an MQTT string: well-formed and without U+0000 [MQTT311 1.5.3-2] [MQTT5 1.5.4-2]. */
export function isMqttText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const byte = bytes[at];
    if (byte === 0) return false;
    const length = byte < 0x80 ? 1 : sequenceBytes(bytes, at, end);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

/** The same rule for a string of ours, before it is written. */
export function isMqttString(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}
