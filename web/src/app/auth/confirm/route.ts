// Where the links in our mails lead: exchanges the code for a session, in the browser that asked for it.
import type { NextRequest, NextResponse } from "next/server";
import { codeOf, toPage } from "@/lib/credentials";
import { log } from "@/lib/log";
import { supabase } from "@/lib/supabase";

export async function GET(request: NextRequest): Promise<NextResponse> {
  const code = request.nextUrl.searchParams.get("code");
  if (!code) return toPage("sign-in", "link_unusable");
  const { error } = await (await supabase()).auth.exchangeCodeForSession(code);
  if (!error) return toPage("today");
  log("warning", "link_refused", { code: error.code ?? error.name });
  return toPage("sign-in", codeOf(error) === "database_away" ? "database_away" : "link_unusable");
}
