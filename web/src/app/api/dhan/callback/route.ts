// Where Dhan sends the browser back: checks the binding, turns the one-time id into a token, stores it, shows the account.
import type { SupabaseClient } from "@supabase/supabase-js";
import { type NextRequest, NextResponse } from "next/server";
import { databaseProblem } from "@/lib/answers";
import { attempts, hashes } from "@/lib/binding";
import { type Connection, consumeConsent, madeNoToken } from "@/lib/dhan";
import { environment } from "@/lib/env";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

const TOKEN_ID = /^[\w.~-]{4,512}$/;
const STORE_AGAIN_AFTER_MS = [200, 800, 2_000]; // Dhan has killed the old token by now: a moment's failure must not cost the new one

export async function GET(request: NextRequest): Promise<NextResponse> {
  const client = await supabase();
  const user = await signedIn(client);
  if (user === "session_ended") return ending(null, "no_session");
  if (user === "database_away") return ending(null, user, "account");
  const outcome = await connect(client, request);
  return ending(user.id, outcome);
}

/** Returns the code of what happened; only "connected" has stored anything. */
async function connect(client: SupabaseClient, request: NextRequest): Promise<string> {
  const asked = await takeConsents(client, hashes(attempts(request.cookies.getAll())));
  if ("code" in asked) return asked.code;
  const tokenId = request.nextUrl.searchParams.get("tokenId");
  if (!tokenId) return "consent_refused";
  if (!TOKEN_ID.test(tokenId)) return "consent_unknown";
  return exchange(client, tokenId, asked.clientIds);
}

/** A new token kills the old one at Dhan, stored or not: from before it is asked for, the page says that it may be dead. */
async function exchange(client: SupabaseClient, tokenId: string, clientIds: string[]): Promise<string> {
  const { data: doubt, error } = await client.rpc("doubt_dhan_token");
  if (error) return databaseProblem(error).code; // and Dhan was not asked
  const consumed = await consumeConsent(tokenId);
  if (!consumed.ok) {
    if (madeNoToken(consumed.problem)) await client.rpc("trust_dhan_token", { p_doubt: doubt });
    return consumed.problem;
  }
  const outcome = clientIds.includes(consumed.value.clientId) ? await store(client, consumed.value) : "client_mismatch";
  if (!["client_mismatch", "account_taken", "not_a_member"].includes(outcome)) return outcome;
  await client.rpc("trust_dhan_token", { p_doubt: doubt, p_minted_for: consumed.value.clientId });
  return outcome;
}

/** Close the user's open attempts; the client ids are those that this browser asked for. Once only, whoever else tries. */
async function takeConsents(client: SupabaseClient, states: string[]): Promise<{ clientIds: string[] } | { code: string }> {
  const { data, error } = await client.rpc("take_dhan_consents", { p_state_hashes: states });
  if (error) return { code: databaseProblem(error).code };
  if (data.status === "taken") return { clientIds: data.client_ids };
  return { code: data.reason === "too_often" ? "too_often" : `consent_${data.reason}` };
}

async function store(client: SupabaseClient, { clientId, token, expiry }: Connection): Promise<string> {
  for (const pause of [...STORE_AGAIN_AFTER_MS, null]) {
    const { data, error } = await client.rpc("store_dhan_token", { p_client_id: clientId, p_token: token, p_expiry: expiry });
    if (!error) return data === "stored" ? "connected" : data;
    if (error.code === "22023") return "token_refused";
    if (pause !== null) await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return "not_stored";
}

function ending(user: string | null, code: string, page = user ? "account" : "sign-in"): NextResponse {
  log(code === "connected" ? "info" : "warning", "dhan_callback", { user, code });
  // The attempts' cookies stay until they end by themselves: with them a second tab learns that it came second.
  return NextResponse.redirect(`${environment().appUrl}/${page}?notice=${code}`, 303);
}
