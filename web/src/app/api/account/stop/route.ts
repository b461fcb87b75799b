// The user's own halt: positions are closed and nothing is opened, or, later, trading goes on. A row of the database says who
// did which when, and is never deleted. Halting is never refused to a session that lives.
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

export async function POST(request: Request): Promise<NextResponse> {
  const stop = askedOf(await request.json().catch(() => null));
  if (stop === null) return problem(400, "unexpected");
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const { error } = await (stop ? client.rpc("halt_own_trading", { p_flatten: true }) : client.rpc("lift_own_halt"));
  if (error) {
    const { status, code } = error.details === "too_often" ? { status: 409, code: "halts_too_often" } : databaseProblem(error);
    log("error", "halt_refused", { user: user.id, stop, code, database_code: error.code });
    return problem(status, code);
  }
  log("warning", stop ? "halted_by_user" : "halt_lifted_by_user", { user: user.id });
  return NextResponse.json({ stopped: stop });
}

/** Null when it is not a wish of our page's. */
function askedOf(body: unknown): boolean | null {
  return typeof body === "object" && body !== null && "stop" in body && typeof body.stop === "boolean" ? body.stop : null;
}
