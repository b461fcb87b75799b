// Deletes the token and switches off, in one statement.
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

export async function POST(): Promise<NextResponse> {
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const { error } = await client.rpc("disconnect_dhan");
  if (error) {
    const { status, code } = databaseProblem(error);
    log("error", "not_disconnected", { user: user.id, code, database_code: error.code });
    return problem(status, code);
  }
  log("info", "disconnected", { user: user.id });
  return NextResponse.json({ disconnected: true });
}
