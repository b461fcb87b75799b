// A new account: signed in at once, or after the link in a mail where the project asks for that.
import type { NextResponse } from "next/server";
import { codeOf, credentialsOf, toPage } from "@/lib/credentials";
import { environment } from "@/lib/env";
import { log } from "@/lib/log";
import { supabase } from "@/lib/supabase";

export async function POST(request: Request): Promise<NextResponse> {
  const credentials = await credentialsOf(request);
  if (!credentials) return toPage("sign-up", "bad_email");
  const options = { emailRedirectTo: `${environment().appUrl}/auth/confirm` };
  const { data, error } = await (await supabase()).auth.signUp({ ...credentials, options });
  if (!error) return data.session ? toPage("account") : toPage("sign-in", "confirm_mail");
  log("warning", "sign_up_refused", { code: codeOf(error) });
  return toPage("sign-up", codeOf(error));
}
