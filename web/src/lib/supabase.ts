// Supabase on the server, in the name of whoever's cookies came with the request. The browser has no client of its own.
import "server-only";
import { type CookieOptions, createServerClient } from "@supabase/ssr";
import { isAuthRetryableFetchError, type SupabaseClient } from "@supabase/supabase-js";
import { cookies } from "next/headers";
import { environment } from "@/lib/env";
import { sessionCookie } from "@/lib/session";

const PATIENCE_MS = 5_000; // a query takes milliseconds; a page that hangs says less than a page that explains

export interface Cookie {
  name: string;
  value: string;
  options: CookieOptions;
}

/** A client whose session lives in the cookies that `all` reads and `set` writes; no script can read them. */
export function clientOver(all: () => { name: string; value: string }[], set: (cookies: Cookie[]) => void): SupabaseClient {
  const { supabaseUrl, supabaseAnonKey, secure } = environment();
  return createServerClient(supabaseUrl, supabaseAnonKey, {
    cookies: { getAll: all, setAll: (changed) => set(changed.map(({ name, value, options }) => ({ name, value, options: options ?? {} }))) },
    cookieOptions: { name: sessionCookie(), httpOnly: true, sameSite: "lax", secure, path: "/" },
    global: { fetch: (input, init) => fetch(input, { ...init, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) }) },
  });
}

/** The client of the current request. */
export async function supabase(): Promise<SupabaseClient> {
  const store = await cookies();
  return clientOver(
    () => store.getAll(),
    (changed) => {
      try {
        for (const { name, value, options } of changed) store.set(name, value, options);
      } catch {
        // A page being rendered cannot set cookies; the proxy has refreshed the session before.
      }
    },
  );
}

/** Why nobody is signed in. An Auth that does not answer ends no session. */
export type NoUser = "session_ended" | "database_away";

/** The signed-in user, asked of Supabase Auth and not read from a cookie. */
export async function signedIn(client: SupabaseClient): Promise<{ id: string; email: string } | NoUser> {
  const { data, error } = await client.auth.getUser();
  if (data.user) return { id: data.user.id, email: data.user.email ?? "" };
  return error && isAuthRetryableFetchError(error) ? "database_away" : "session_ended";
}
