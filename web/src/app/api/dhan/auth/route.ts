// Starts a connection: binds it to user, session and browser, then asks Dhan for a consent and returns its login page.
import { cookies } from "next/headers";
import { NextResponse } from "next/server";
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { type Binding, newBinding, TEN_MINUTES_S } from "@/lib/binding";
import { loginAddress } from "@/lib/dhan";
import { environment } from "@/lib/env";
import { log } from "@/lib/log";
import { signedIn, supabase } from "@/lib/supabase";

const CLIENT_ID = /^[0-9]{4,20}$/; // as public.store_dhan_token has it

export async function POST(request: Request): Promise<NextResponse> {
  const clientId = clientIdOf(await request.json().catch(() => null));
  if (clientId === null) return problem(400, "bad_client_id");
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const binding = newBinding();
  const { data, error } = await client.rpc("begin_dhan_consent", { p_client_id: clientId, p_state_hash: binding.hash });
  if (error) {
    const { status, code } = databaseProblem(error);
    log("error", "consent_not_begun", { user: user.id, code, database_code: error.code });
    return problem(status, code);
  }
  if (data !== "begun") {
    log("warning", "consent_refused_by_us", { user: user.id, code: data });
    return problem(data === "too_often" ? 429 : 409, data);
  }
  const login = await loginAddress(clientId);
  if (!login.ok) {
    await client.rpc("abandon_dhan_consent", { p_state_hash: binding.hash });
    log("warning", "dhan_gave_no_consent", { user: user.id, code: login.problem });
    return problem(502, login.problem);
  }
  await leave(binding);
  log("info", "consent_begun", { user: user.id });
  return NextResponse.json({ loginUrl: login.value });
}

function clientIdOf(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("clientId" in body) || typeof body.clientId !== "string") return null;
  const clientId = body.clientId.trim();
  return CLIENT_ID.test(clientId) ? clientId : null;
}

async function leave({ cookie, state }: Binding): Promise<void> {
  const { secure } = environment();
  // Lax: Dhan's redirect is a top-level navigation from another site and must bring it along.
  const options = { httpOnly: true, sameSite: "lax", secure, path: "/api/dhan", maxAge: TEN_MINUTES_S } as const;
  (await cookies()).set(cookie, state, options);
}
