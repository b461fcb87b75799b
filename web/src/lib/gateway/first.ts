// The day that a page is drawn with before its stream is open.
import "server-only";
import { cookies } from "next/headers";
import { today } from "@/lib/gateway/server";
import type { Today } from "@/lib/gateway/views";
import { heldToken } from "@/lib/session";

/** The day of whoever asks for the page; a code where it is not told. The gateway says whether the token is genuine. */
export async function firstToday(): Promise<Today | string> {
  const store = await cookies();
  const token = await heldToken((name) => store.get(name)?.value);
  return today(token ?? undefined);
}
