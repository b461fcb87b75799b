// Mails a link that signs in. The answer is the same whether the address has an account or not.
import type { NextResponse } from "next/server";
import { codeOf, credentialsOf, toPage } from "@/lib/credentials";
import { environment } from "@/lib/env";
import { log } from "@/lib/log";
import { supabase } from "@/lib/supabase";

export async function POST(request: Request): Promise<NextResponse> {
  const asked = await credentialsOf(request);
  if (!asked) return toPage("sign-in", "bad_email");
  const options = { shouldCreateUser: false, emailRedirectTo: `${environment().appUrl}/auth/confirm` };
  const { error } = await (await supabase()).auth.signInWithOtp({ email: asked.email, options });
  if (!error || error.code === "otp_disabled" || error.code === "user_not_found") return toPage("sign-in", "link_sent");
  log("warning", "link_not_sent", { code: codeOf(error) });
  return toPage("sign-in", codeOf(error));
}
