/** POSTs JSON and gives the status; what is answered beside it nobody reads. Follows no redirects. */
export async function postJson(url: string, body: string, timeoutMs: number): Promise<number> {
  const headers = { 'Content-Type': 'application/json' };
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' });
  await answer.body?.cancel();
  return answer.status;
}
