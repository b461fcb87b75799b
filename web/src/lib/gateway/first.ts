// What a page is drawn with before it asks for more.
import "server-only";
import { cookies } from "next/headers";
import { operatorConsole, today } from "@/lib/gateway/server";
import type { Console, Today } from "@/lib/gateway/views";
import { heldToken } from "@/lib/session";

/** The day of whoever asks for the page; a code where it is not told. The gateway says whether the token is genuine. */
export async function firstToday(): Promise<Today | string> {
  return today(await firstToken());
}

/** The operator's console, likewise. */
export async function firstConsole(): Promise<Console | string> {
  return operatorConsole(await firstToken());
}

/** The token of whoever asks for the page; undefined where there is none that lives for a while. */
export async function firstToken(): Promise<string | undefined> {
  const store = await cookies();
  return (await heldToken((name) => store.get(name)?.value)) ?? undefined;
}
