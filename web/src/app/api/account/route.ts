// What the account page asks for every few seconds: one query, read under the user's own policies. The one route without
// the proxy before it: it changes nothing, and the client here refreshes the session and its cookies as well.
import { NextResponse } from "next/server";
import { databaseProblem, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { supabase } from "@/lib/supabase";

export async function GET(): Promise<NextResponse> {
  const answer = await account();
  answer.headers.set("Cache-Control", "private, no-store");
  return answer;
}

async function account(): Promise<NextResponse> {
  const client = await supabase();
  const { data: held } = await client.auth.getSession();
  if (!held.session) return problem(401, "session_ended"); // whether it is genuine is for the database to say
  const { data, error } = await client.rpc("own_account");
  if (!error) return NextResponse.json(data);
  const { status, code } = databaseProblem(error);
  log("warning", "account_not_read", { code, database_code: error.code });
  return problem(status, code);
}
