// One limit of the user's own, made tighter. The database refuses what would widen it, and keeps who changed what.
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { isName, valueOf } from "@/lib/limits";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

const REFUSALS: Readonly<Record<string, string>> = { wider: "only_tighter", too_often: "limits_too_often" };

export async function POST(request: Request): Promise<NextResponse> {
  const asked = askedOf(await request.json().catch(() => null));
  if (asked === null) return problem(400, "not_a_limit");
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const { error } = await client.rpc("tighten_own_limits", { p_limits: asked });
  if (error) {
    const refused = REFUSALS[error.details ?? ""];
    const { status, code } = refused ? { status: 409, code: refused } : databaseProblem(error);
    log("warning", "limit_refused", { user: user.id, code, database_code: error.code });
    return problem(status, code);
  }
  log("info", "limit_tightened", { user: user.id, limit: Object.keys(asked).join() });
  return NextResponse.json({ tightened: true });
}

/** Null when it is not a wish of our page's, or no number that the limit can have. */
function askedOf(body: unknown): Readonly<Record<string, number>> | null {
  if (typeof body !== "object" || body === null || !("name" in body) || !("value" in body)) return null;
  if (!isName(body.name) || typeof body.value !== "string") return null;
  const value = valueOf(body.name, body.value);
  return value === null ? null : { [body.name]: value };
}
