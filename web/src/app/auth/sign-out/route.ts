// Ends this browser's session; other devices stay signed in.
import type { NextResponse } from "next/server";
import { toPage } from "@/lib/credentials";
import { supabase } from "@/lib/supabase";

export async function POST(): Promise<NextResponse> {
  await (await supabase()).auth.signOut({ scope: "local" });
  return toPage("sign-in", "signed_out");
}
