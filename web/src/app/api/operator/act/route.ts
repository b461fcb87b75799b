// What an operator does: a halt of one user or of everybody, or its end. The database asks who calls, and keeps who did what
// to whom, when and why.
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { type Deed, DEEDS, isId, LONGEST_REASON } from "@/lib/operator";
import { signedIn, supabase } from "@/lib/supabase";

interface Asked {
  readonly deed: Deed;
  /** Null: everybody. */
  readonly user: string | null;
  readonly reason: string;
}

export async function POST(request: Request): Promise<NextResponse> {
  const asked = askedOf(await request.json().catch(() => null));
  if (asked === null) return problem(400, "unexpected");
  if (asked.reason === "") return problem(400, "no_reason");
  const client = await supabase();
  const operator = await signedIn(client);
  if (typeof operator === "string") return nobody(operator);
  const { error } = await client.rpc("operator_act", { p_action: asked.deed, p_user: asked.user, p_reason: asked.reason });
  if (error) {
    const { status, code } = error.details === "no_operator" ? { status: 404, code: "not_operator" } : databaseProblem(error);
    log("error", "deed_refused", { operator: operator.id, deed: asked.deed, user: asked.user, code, database_code: error.code });
    return problem(status, code);
  }
  log("warning", "operator_acted", { operator: operator.id, deed: asked.deed, user: asked.user });
  return NextResponse.json({ done: asked.deed });
}

/** Null when it is not a wish of our page's. */
function askedOf(body: unknown): Asked | null {
  if (typeof body !== "object" || body === null) return null;
  const { deed, user, reason } = body as Record<string, unknown>;
  const known = DEEDS.find((each) => each === deed);
  if (known === undefined || typeof reason !== "string" || reason.length > LONGEST_REASON) return null;
  if (user !== null && !isId(user)) return null;
  return user === null && known === "flatten" ? null : { deed: known, user, reason: reason.trim() };
}
