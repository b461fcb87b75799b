// The read gateway, asked on a browser's behalf: the user's token goes from the cookie to it, and never to the browser.
import "server-only";
import { problem } from "@/lib/answers";
import { environment } from "@/lib/env";
import type { Console, Today } from "@/lib/gateway/views";
import { log } from "@/lib/log";

const ANSWER_WITHIN_MS = 5_000; // until its first byte; it answers from memory
const READ_WITHIN_MS = 12_000; // where it reads the record, for ten seconds at most
const SILENT_MS = 45_000; // a stream tells every 15 s that it lives
const LONGEST_QUERY = 4_096; // characters; fifty instruments have 2,000
const ROUTES = /^(today|stream|decisions|operator\/(console|actions|scorecard|users\/[\da-f-]{36})|(candles|chart)\/[A-Z_]{2,12}(:|%3A)\d{1,9}|(decisions|why)\/[\da-f-]{36})$/;
const READS = /^(chart|why)\//;
const SCORES = "operator/scorecard";
const SCORED_WITHIN_MS = 65_000; // it may take a minute

/** Whether the gateway has a route of this name, without `/v1/`. */
export function isRoute(path: string, query: string): boolean {
  return ROUTES.test(path) && query.length <= LONGEST_QUERY;
}

/** Ask for one route; `place` is the id of the last event that the browser has. Answers as we do where it does not. */
export async function ask(path: string, query: string, token: string, place: string | null, left: AbortSignal): Promise<Response> {
  const waiting = new AbortController();
  const bell = setTimeout(() => waiting.abort(), withinMs(path));
  const headers = new Headers({ authorization: `Bearer ${token}` });
  if (place !== null) headers.set("last-event-id", place);
  try {
    const answer = await fetch(`${environment().gatewayUrl}/v1/${path}${query}`, {
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.any([left, waiting.signal]),
      headers,
    });
    return answer.ok ? passed(answer, waiting) : await refused(answer);
  } catch (error) {
    if (!left.aborted) log("warning", "gateway_away", { route: path.replace(/\/.*/, ""), error: String(error) });
    return problem(503, "gateway_away");
  } finally {
    clearTimeout(bell);
  }
}

function withinMs(path: string): number {
  if (path === SCORES) return SCORED_WITHIN_MS;
  return READS.test(path) ? READ_WITHIN_MS : ANSWER_WITHIN_MS;
}

/** The body as it comes, ended when it falls silent. Not to be compressed: what waits in a compressor is told late. */
function passed(answer: Response, waiting: AbortController): Response {
  const type = answer.headers.get("content-type") ?? "application/json";
  const headers = { "Content-Type": type, "Cache-Control": "private, no-store, no-transform", "X-Accel-Buffering": "no" };
  if (answer.body === null) return new Response(null, { headers });
  let bell = setTimeout(() => waiting.abort(), SILENT_MS);
  const heard = new TransformStream<Uint8Array, Uint8Array>({
    transform(part, out) {
      clearTimeout(bell);
      bell = setTimeout(() => waiting.abort(), SILENT_MS);
      out.enqueue(part);
    },
    flush: () => clearTimeout(bell),
  });
  return new Response(answer.body.pipeThrough(heard), { headers });
}

const READ_PROBLEMS = ["busy", "too_long", "record_away"]; // as ats/gateway/lookups.py has them

async function refused(answer: Response): Promise<Response> {
  const said = await errorOf(answer);
  if (answer.status === 401) return problem(401, "session_ended");
  if (answer.status === 429) return problem(429, "gateway_busy");
  if (answer.status === 503 && said === "database_away") return problem(503, said);
  if (answer.status === 503 && READ_PROBLEMS.includes(said)) return problem(503, "record_away");
  if (answer.status === 503) return problem(503, "gateway_starting");
  if (answer.status === 400 || answer.status === 404) return problem(answer.status, "not_known");
  log("error", "gateway_refused", { status: answer.status });
  return problem(502, "gateway_away");
}

/** Its word for what is wrong; "" where it says none. */
async function errorOf(answer: Response): Promise<string> {
  try {
    return String(((await answer.json()) as { error?: unknown }).error ?? "");
  } catch {
    return "";
  }
}

/** The day as a page first shows it; a code where it is not told. */
export function today(token: string | undefined): Promise<Today | string> {
  return first<Today>("today", token);
}

/** How the platform stands, to an operator; `not_known` to everybody else. */
export function operatorConsole(token: string | undefined): Promise<Console | string> {
  return first<Console>("operator/console", token);
}

async function first<T extends object>(path: string, token: string | undefined): Promise<T | string> {
  if (token === undefined) return "session_ended";
  const answer = await ask(path, "", token, null, AbortSignal.timeout(ANSWER_WITHIN_MS));
  const body = (await answer.json()) as T | { problem: string };
  return "problem" in body ? body.problem : body;
}
