// The trading switch, written by the user under row level security: on with the terms that the page showed, which must be
// those that hold; off at once. Answers what the database says afterwards.
import { NextResponse } from "next/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

export async function POST(request: Request): Promise<NextResponse> {
  const asked = askedOf(await request.json().catch(() => null));
  if (asked === null) return problem(400, "unexpected");
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const { data: on, error } = await (asked.on ? turnOn(client, asked.terms) : turnOff(client, user.id));
  if (error) {
    const { status, code } = databaseProblem(error);
    log("warning", "switch_refused", { user: user.id, on: asked.on, code, database_code: error.code });
    return problem(status, code);
  }
  if (on === null) return problem(409, "not_connected");
  log("info", "switched", { user: user.id, on });
  return NextResponse.json({ is_trading_enabled: on });
}

type Asked = { readonly on: false } | { readonly on: true; readonly terms: object };

/** Null when it is not a wish of our page's: switching on without terms is none. */
function askedOf(body: unknown): Asked | null {
  if (typeof body !== "object" || body === null || !("on" in body)) return null;
  if (body.on === false) return { on: false };
  if (body.on !== true || !("terms" in body) || typeof body.terms !== "object" || body.terms === null) return null;
  return { on: true, terms: body.terms };
}

type Turned = { data: boolean | null; error: null } | { data: null; error: { code: string; message: string; details: string } };

async function turnOn(client: SupabaseClient, terms: object): Promise<Turned> {
  return client.rpc("switch_trading_on", { p_terms: terms });
}

async function turnOff(client: SupabaseClient, user: string): Promise<Turned> {
  const own = client.from("user_trading_keys").update({ is_trading_enabled: false }).eq("user_id", user);
  const { data, error } = await own.select("is_trading_enabled");
  return error ? { data: null, error } : { data: data[0]?.is_trading_enabled ?? null, error: null };
}
