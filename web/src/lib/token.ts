// The access token of whoever asks a route that has no proxy before it: it refreshes the session, and its cookies, by itself.
import "server-only";
import type { NextRequest } from "next/server";
import { heldToken } from "@/lib/session";
import { supabase } from "@/lib/supabase";

/** Undefined when nobody is signed in, or Auth does not answer. Whether a token is genuine is for who is given it to say. */
export async function accessToken(request: NextRequest): Promise<string | undefined> {
  const held = await heldToken((name) => request.cookies.get(name)?.value);
  if (held) return held;
  const { data } = await (await supabase()).auth.getSession();
  return data.session?.access_token;
}
