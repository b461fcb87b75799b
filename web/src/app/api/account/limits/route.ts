// One limit of the user's own choice, and what became of all of them. The database refuses what is wider than it may be, and
// keeps who changed what.
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { isName, isValue, LIMITS, type Name, type Value } from "@/lib/limits";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

const REFUSALS: Readonly<Record<string, string>> = { wider: "only_tighter", above_ceiling: "above_ceiling", too_often: "limits_too_often" };

interface Wish {
  readonly name: Name;
  readonly value: Value;
  readonly widen: boolean;
}

/** The newest changes of the user's limits. */
export async function GET(): Promise<NextResponse> {
  const client = await supabase();
  const { data, error } = await client.rpc("own_limit_changes");
  if (error) {
    const { status, code } = databaseProblem(error);
    log("warning", "limit_changes_not_read", { code, database_code: error.code });
    return problem(status, code);
  }
  return NextResponse.json({ changes: data }, { headers: { "Cache-Control": "private, no-store" } });
}

export async function POST(request: Request): Promise<NextResponse> {
  const body: unknown = await request.json().catch(() => null);
  const wish = wishOf(body);
  if (wish === null) return problem(400, "not_a_limit", nameOf(body));
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const { error } = await client.rpc(wish.widen ? "widen_own_limits" : "tighten_own_limits", { p_limits: { [wish.name]: wish.value } });
  if (error) {
    const refused = REFUSALS[error.details ?? ""];
    const { status, code } = refused ? { status: 409, code: refused } : databaseProblem(error);
    log("warning", "limit_refused", { user: user.id, limit: wish.name, code, database_code: error.code });
    return problem(status, code, refused && LIMITS[wish.name]);
  }
  log("info", wish.widen ? "limit_widened" : "limit_tightened", { user: user.id, limit: wish.name });
  return NextResponse.json({ changed: wish.name });
}

/** Null when it is not a wish of our page's, or no value that the limit can have. */
function wishOf(body: unknown): Wish | null {
  if (typeof body !== "object" || body === null || !("name" in body) || !("value" in body) || !("widen" in body)) return null;
  const { name, value, widen } = body;
  if (!isName(name) || typeof widen !== "boolean" || !isValue(name, value)) return null;
  return { name, value, widen };
}

function nameOf(body: unknown): string | undefined {
  return typeof body === "object" && body !== null && "name" in body && isName(body.name) ? LIMITS[body.name] : undefined;
}
