// The trading switch, written by the user under row level security. Answers what the database says afterwards.
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

export async function POST(request: Request): Promise<NextResponse> {
  const body: unknown = await request.json().catch(() => null);
  if (typeof body !== "object" || body === null || !("on" in body) || typeof body.on !== "boolean") return problem(400, "unexpected");
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const own = client.from("user_trading_keys").update({ is_trading_enabled: body.on }).eq("user_id", user.id);
  const { data, error } = await own.select("is_trading_enabled");
  if (error) {
    const { status, code } = databaseProblem(error);
    log("warning", "switch_refused", { user: user.id, on: body.on, code, database_code: error.code });
    return problem(status, code);
  }
  const row = data[0];
  if (!row) return problem(409, "not_connected");
  log("info", "switched", { user: user.id, on: row.is_trading_enabled });
  return NextResponse.json(row);
}
