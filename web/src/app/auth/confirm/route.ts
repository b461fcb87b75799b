// Where the links in our mails lead: exchanges the code for a session, in the browser that asked for it.
import { type NextRequest, NextResponse } from "next/server";
import { environment } from "@/lib/env";
import { log } from "@/lib/log";
import { supabase } from "@/lib/supabase";

export async function GET(request: NextRequest): Promise<NextResponse> {
  const code = request.nextUrl.searchParams.get("code");
  const { appUrl } = environment();
  if (code) {
    const { error } = await (await supabase()).auth.exchangeCodeForSession(code);
    if (!error) return NextResponse.redirect(`${appUrl}/account`, 303);
    log("warning", "link_refused", { code: error.code ?? error.name });
  }
  return NextResponse.redirect(`${appUrl}/sign-in?notice=link_unusable`, 303);
}
