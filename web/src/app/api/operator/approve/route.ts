// What an operator does about approvals: a yes or a no to one decision, or the mode itself. The database asks who calls, takes
// the first answer only, and keeps who gave it.
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { type Asked, ASKED, LONGEST_REASON, SECONDS } from "@/lib/operator";
import { signedIn, supabase } from "@/lib/supabase";

interface Wish {
  readonly asked: Asked;
  /** Null where the mode is meant. */
  readonly decision: string | null;
  /** Null but where the mode begins. */
  readonly seconds: number | null;
  readonly reason: string;
}

const ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
const REFUSED: Readonly<Record<string, string>> = { answered_already: "answered_already", timed_out: "answered_too_late", unknown: "not_waiting" };

export async function POST(request: Request): Promise<NextResponse> {
  const wish = wishOf(await request.json().catch(() => null));
  if (wish === null) return problem(400, "unexpected");
  if (wish.decision === null && wish.reason === "") return problem(400, "no_reason");
  const client = await supabase();
  const operator = await signedIn(client);
  if (typeof operator === "string") return nobody(operator);
  const { asked, decision, seconds, reason } = wish;
  const { data, error } = await client.rpc("operator_approve", { p_action: asked, p_decision: decision, p_seconds: seconds, p_reason: reason });
  if (error) {
    const { status, code } = error.details === "no_operator" ? { status: 404, code: "not_operator" } : databaseProblem(error);
    log("error", "approval_refused", { operator: operator.id, asked, decision, code, database_code: error.code });
    return problem(status, code);
  }
  const refused = REFUSED[String((data as { status?: unknown } | null)?.status)];
  log("warning", "operator_answered", { operator: operator.id, asked, decision, refused: refused ?? null });
  return refused === undefined ? NextResponse.json({ done: asked }) : problem(409, refused);
}

/** Null when it is not a wish of our page's. */
function wishOf(body: unknown): Wish | null {
  if (typeof body !== "object" || body === null) return null;
  const { asked, decision, seconds, reason } = body as Record<string, unknown>;
  const known = ASKED.find((each) => each === asked);
  if (known === undefined || typeof reason !== "string" || reason.length > LONGEST_REASON) return null;
  if (known === "approve" || known === "refuse") return typeof decision === "string" && ID.test(decision) ? { asked: known, decision, seconds: null, reason: reason.trim() } : null;
  if (known === "approvals_off") return { asked: known, decision: null, seconds: null, reason: reason.trim() };
  const whole = typeof seconds === "number" && Number.isInteger(seconds) && seconds >= SECONDS.least && seconds <= SECONDS.most;
  return whole ? { asked: known, decision: null, seconds, reason: reason.trim() } : null;
}
