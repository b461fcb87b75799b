// Binds Dhan's answer to the browser that asked. Dhan passes no state through its login, so each attempt leaves a random
// value in a cookie of its own (two tabs, two attempts), and the database keeps its hash beside user and session.
import "server-only";
import { createHash, randomBytes } from "node:crypto";

const PREFIX = "ats-dhan-";
const HEX = /^[0-9a-f]{64}$/;

export const TEN_MINUTES_S = 600; // as public.begin_dhan_consent has it

export interface Binding {
  readonly cookie: string;
  readonly state: string;
  readonly hash: string;
}

export function newBinding(): Binding {
  const state = randomBytes(32).toString("hex");
  return { cookie: PREFIX + randomBytes(6).toString("hex"), state, hash: hashOf(state) };
}

/** The cookies of attempts that this browser holds, well-formed or not. */
export function attempts<T extends { name: string; value: string }>(cookies: readonly T[]): T[] {
  return cookies.filter((cookie) => cookie.name.startsWith(PREFIX));
}

export function hashes(cookies: readonly { value: string }[]): string[] {
  return cookies.filter((cookie) => HEX.test(cookie.value)).map((cookie) => hashOf(cookie.value));
}

function hashOf(state: string): string {
  return createHash("sha256").update(state).digest("hex");
}
