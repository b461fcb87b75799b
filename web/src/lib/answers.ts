// Answers of our routes to our own pages: a code, which the page has words for.
import { NextResponse } from "next/server";
import type { NoUser } from "@/lib/supabase";

/** `code` is one of lib/words; `about` names what was refused, where it is one of several. */
export function problem(status: number, code: string, about?: string): NextResponse {
  return NextResponse.json({ problem: code, ...(about !== undefined && { about }) }, { status });
}

/** The answer to a request without a user. */
export function nobody(why: NoUser): NextResponse {
  return problem(why === "session_ended" ? 401 : 503, why);
}

/** Why a database call failed, as one of our codes. `fetch` failures have no code of Postgres's. */
export function databaseProblem(error: { code?: string; message: string; details?: string | null }): { status: number; code: string } {
  if (error.code === "PGRST301" || error.code === "PGRST303" || error.code === "42501") return { status: 401, code: "session_ended" };
  if (error.code === "P0001") return { status: 409, code: whyNotOn(error) };
  return { status: 503, code: "database_away" };
}

/** Why the database refused to switch on (supabase/migrations). */
function whyNotOn({ message, details }: { message: string; details?: string | null }): string {
  if (details === "mode_unknown" || details === "terms_changed" || details === "connection_refused") return details;
  if (details === "not_a_member") return "switch_not_a_member";
  return message.includes("expired") ? "token_expired" : "not_connected";
}
