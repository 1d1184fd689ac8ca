import type { z } from 'zod';

/** What a schema found wrong, short enough for a message: where and what, never the value itself. */
export function problemsOf(error: z.ZodError): string {
  const shown = error.issues.slice(0, 3).map(issue => {
    const where = issue.path.map(String).join('.').slice(0, 100);
    return where ? `${where}: ${issue.message}` : issue.message;
  });
  const more = error.issues.length - shown.length;
  return shown.join('; ') + (more > 0 ? `; and ${more} more` : '');
}
