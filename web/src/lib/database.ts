// The questions that every page asks, and an open one repeats, asked of Supabase's REST API without its client: making a client for each
// request, and `fetch`, cost this process several times what the question does.
import "server-only";
import http from "node:http";
import https from "node:https";
import { environment } from "@/lib/env";

const PATIENCE_MS = 5_000; // as in lib/supabase
const IDLE_MS = 4_000; // a kept connection ends before the other side would end it: then no question meets a closed door
const kept = { keepAlive: true, timeout: IDLE_MS };
const CONNECTIONS = { http: new http.Agent(kept), https: new https.Agent(kept) };

export interface Told {
  readonly status: number;
  /** JSON as the database wrote it. */
  readonly text: string;
}

/** What `public.own_account()` answers whoever the token is of; the database checks it. Throws when there is no answer. */
export function ownAccount(token: string): Promise<Told> {
  return told("own_account", token);
}

/** Whether whoever the token is of operates the platform, as the database says; not where it does not answer. */
export async function isOperator(token: string): Promise<boolean> {
  const { status, text } = await told("is_operator", token).catch(() => ({ status: 0, text: "" }));
  return status === 200 && text.trim() === "true";
}

function told(name: "own_account" | "is_operator", token: string): Promise<Told> {
  const { supabaseUrl, supabaseAnonKey } = environment();
  const secure = supabaseUrl.startsWith("https:");
  return new Promise((resolve, reject) => {
    const asked = (secure ? https : http).request(`${supabaseUrl}/rest/v1/rpc/${name}`, {
      method: "POST",
      agent: secure ? CONNECTIONS.https : CONNECTIONS.http,
      headers: { apikey: supabaseAnonKey, authorization: `Bearer ${token}`, "content-length": 0 },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    asked.on("error", reject);
    asked.on("response", (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part: string) => (text += part));
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    asked.end();
  });
}
