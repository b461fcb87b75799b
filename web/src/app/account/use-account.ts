// The account as the database last told it: after each thing done here, when the gateway tells of a change, when somebody
// comes back to the page, and every ten seconds, because no topic tells of the connection and of the order workers.
"use client";
import { useRouter } from "next/navigation";
import { useCallback, useEffect, useRef, useState } from "react";
import type { Account } from "@/lib/account";
import { type Notice, wordsOf } from "@/lib/words";

const ASK_AGAIN_MS = 10_000;

/** Do one thing and show what the database says afterwards; null where it was refused. */
export type Act = (path: string, body: unknown) => Promise<Record<string, unknown> | null>;

interface Held<A extends Account | null> {
  readonly account: A | Account;
  readonly act: Act;
  readonly notice: Notice | null;
  /** Null where the notice says how things are, and goes by itself. */
  readonly dismiss: (() => void) | null;
}

/** `changed` is anything that differs when the account may have. */
export function useAccount<A extends Account | null>(first: A, told: Notice | null, changed: unknown = null): Held<A> {
  const [account, setAccount] = useState<A | Account>(first);
  const [said, setSaid] = useState<Notice | null>(told);
  const [stale, setStale] = useState<Notice | null>(null);
  const router = useRouter();

  const refresh = useCallback(async (): Promise<void> => {
    const answer = await get();
    if ("problem" in answer) {
      if (answer.problem === "session_ended") router.replace("/sign-in?notice=session_ended");
      setStale(wordsOf(answer.problem));
    } else {
      setAccount(answer.account);
      setStale(null);
    }
  }, [router]);

  useEffect(() => {
    const look = (): void => {
      if (!document.hidden) void refresh();
    };
    const timer = setInterval(look, ASK_AGAIN_MS);
    window.addEventListener("focus", look);
    return () => {
      clearInterval(timer);
      window.removeEventListener("focus", look);
    };
  }, [refresh]);

  const seen = useRef(changed);
  useEffect(() => {
    if (seen.current === changed) return;
    seen.current = changed;
    void refresh();
  }, [changed, refresh]);

  const act = useCallback<Act>(
    async (path, body) => {
      const answer = await post(path, body);
      setSaid("problem" in answer ? wordsOf(String(answer.problem), typeof answer.about === "string" ? answer.about : undefined) : null);
      await refresh();
      return "problem" in answer ? null : answer;
    },
    [refresh],
  );
  return { account, act, notice: stale ?? said, dismiss: stale ? null : () => setSaid(null) };
}

async function get(): Promise<{ account: Account } | { problem: string }> {
  try {
    const response = await fetch("/api/account", { cache: "no-store" });
    const body = await response.json();
    return response.ok ? { account: body as Account } : { problem: String(body.problem) };
  } catch {
    return { problem: "application_away" };
  }
}

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  try {
    const response = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const answer = (await response.json()) as Record<string, unknown>;
    return response.ok || "problem" in answer ? answer : { problem: "unexpected" };
  } catch {
    return { problem: "application_away" };
  }
}
