// The session that a browser's cookies hold, read without making a Supabase client. Nothing here says who somebody is: a
// token is a claim until Auth or the database has checked its signature.
import "server-only";
import { combineChunks } from "@supabase/ssr";
import { environment } from "@/lib/env";

const SOON_S = 90; // as long before the end as Supabase's client refreshes
const ENCODED = "base64-"; // Supabase's mark before a session in base64url

/** The cookie's name, or what its parts' names begin with: what Supabase's client takes when it is not told one. */
export function sessionCookie(): string {
  return `sb-${new URL(environment().supabaseUrl).hostname.split(".")[0]}-auth-token`;
}

/** Whether `name` is that of the session's cookie, or of a part of it. */
export function isSession(name: string): boolean {
  return name === sessionCookie() || name.startsWith(`${sessionCookie()}.`);
}

/** The access token, unless there is none, it is about to end, or the cookie reads otherwise than expected: then ask the client. */
export async function heldToken(cookie: (name: string) => string | undefined): Promise<string | null> {
  const held = await combineChunks(sessionCookie(), cookie);
  return held?.startsWith(ENCODED) ? tokenOf(Buffer.from(held.slice(ENCODED.length), "base64url").toString()) : null;
}

function tokenOf(text: string): string | null {
  try {
    const { access_token: token, expires_at: end } = JSON.parse(text) as Record<string, unknown>;
    return typeof token === "string" && typeof end === "number" && end - Date.now() / 1_000 > SOON_S ? token : null;
  } catch {
    return null;
  }
}
