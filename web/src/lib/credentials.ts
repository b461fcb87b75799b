// What the sign-in and sign-up forms send, and what Supabase Auth says of it.
import "server-only";
import { NextResponse } from "next/server";
import { environment } from "@/lib/env";
import { noticeOf } from "@/lib/words";

export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** Null when the form is not one of ours; an address alone, as for a link, has an empty password. */
export async function credentialsOf(request: Request): Promise<Credentials | null> {
  const form = await request.formData().catch(() => null);
  const email = form?.get("email");
  const password = form?.get("password") ?? "";
  if (typeof email !== "string" || typeof password !== "string" || !email.includes("@")) return null;
  return { email: email.trim(), password };
}

/** One of our codes for what Supabase Auth refused. */
export function codeOf(error: { code?: string | undefined; name: string; status?: number | undefined }): string {
  if (error.code === "email_address_invalid" || error.code === "validation_failed") return "bad_email";
  if (error.code && noticeOf(error.code)) return error.code;
  return error.name === "AuthRetryableFetchError" || (error.status ?? 0) >= 500 ? "database_away" : "unexpected";
}

/** To one of our pages, by GET, saying `code` there. */
export function toPage(page: "account" | "sign-in" | "sign-up" | "today", code?: string): NextResponse {
  return NextResponse.redirect(`${environment().appUrl}/${page}${code ? `?notice=${code}` : ""}`, 303);
}
