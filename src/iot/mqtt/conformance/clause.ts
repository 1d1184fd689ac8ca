/**
 * One numbered normative statement of a standard, told in our words: the standards' own sentences are OASIS' and stay
 * there. The ids are those of their appendix B, without `MQTT-` in front.
 */
export interface Clause {
  /** Section and number, such as `3.1.2-24`. */
  readonly id: string;
  /** Who must obey it. What a client must do, a server often must insist on; then there is a test of that as well. */
  readonly who: 'server' | 'client' | 'both';
  readonly what: string;
  /** Why this broker cannot break it; undefined when it can. */
  readonly exemption: string | undefined;
}

/** MQTT 3.1.1 or MQTT 5.0, as citations name them. */
export type Standard = '311' | '5';
export const standards: readonly Standard[] = ['311', '5'];

const sayer =
  (who: Clause['who']) =>
  (id: string, what: string, exemption?: string): Clause => ({ id, who, what, exemption });

export const server = sayer('server');
export const client = sayer('client');
export const both = sayer('both');

/** Whether this broker must prove it with a test. */
export function needsTest({ who, exemption }: Clause): boolean {
  return who !== 'client' && exemption === undefined;
}

/** Why a clause needs no test, in the words of the document; '' when it needs one. */
export function exemptionOf({ who, exemption }: Clause): string {
  return exemption ?? (who === 'client' ? 'of the client' : '');
}
