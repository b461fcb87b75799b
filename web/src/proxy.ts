// Before every page and route: refuses foreign origins, refreshes the session, sets the content security policy.
import { type NextRequest, NextResponse } from "next/server";
import { environment } from "@/lib/env";
import { mayPass } from "@/lib/origin";
import { log } from "@/lib/log";
import { heldToken } from "@/lib/session";
import { clientOver } from "@/lib/supabase";

export async function proxy(request: NextRequest): Promise<NextResponse> {
  const { appUrl } = environment();
  if (!mayPass(request.method, request.headers.get("origin"), appUrl)) {
    log("warning", "foreign_origin_refused", { path: request.nextUrl.pathname });
    return new NextResponse(`This request did not come from ${appUrl}. Open the application at that address.\n`, { status: 403 });
  }
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
  const policy = contentSecurityPolicy(nonce);
  const response = await withFreshSession(request, () => {
    const headers = new Headers(request.headers);
    headers.set("Content-Security-Policy", policy); // Next puts the nonce on its own scripts
    return NextResponse.next({ request: { headers } });
  });
  response.headers.set("Content-Security-Policy", policy);
  response.headers.set("Cache-Control", "private, no-store");
  return response;
}

// Not before /api/account itself, which every open page asks again and again, nor before the gateway, whose answers are
// streams: both change nothing, and do by themselves what they need of this.
export const config = { matcher: ["/((?!_next/static|icon.svg|api/account$|api/gateway/).*)"] };

function contentSecurityPolicy(nonce: string): string {
  const development = process.env.NODE_ENV === "development";
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ""}`,
    `style-src 'self' ${development ? "'unsafe-inline'" : `'nonce-${nonce}'`}`,
    "connect-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** `next` is made again when the session was refreshed, so that the page behind sees the new cookies too. */
async function withFreshSession(request: NextRequest, next: () => NextResponse): Promise<NextResponse> {
  let response = next();
  if (await heldToken((name) => request.cookies.get(name)?.value)) return response; // nothing to refresh for a while
  const client = clientOver(
    () => request.cookies.getAll(),
    (changed) => {
      for (const { name, value } of changed) request.cookies.set(name, value);
      response = next();
      for (const { name, value, options } of changed) response.cookies.set(name, value, options);
    },
  );
  await client.auth.getSession(); // asks Supabase when there is a session to refresh
  return response;
}
