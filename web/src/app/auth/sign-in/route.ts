// Password in, session cookies out.
import type { NextResponse } from "next/server";
import { codeOf, credentialsOf, toPage } from "@/lib/credentials";
import { log } from "@/lib/log";
import { supabase } from "@/lib/supabase";

export async function POST(request: Request): Promise<NextResponse> {
  const credentials = await credentialsOf(request);
  if (!credentials) return toPage("sign-in", "bad_email");
  const { error } = await (await supabase()).auth.signInWithPassword(credentials);
  if (!error) return toPage("today");
  log("warning", "sign_in_refused", { code: codeOf(error) });
  return toPage("sign-in", codeOf(error));
}
