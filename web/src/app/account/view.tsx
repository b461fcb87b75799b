// The account as the database last told it, asked again every two seconds while somebody looks.
"use client";
import { useRouter } from "next/navigation";
import { useCallback, useEffect, useState } from "react";
import { ChecksPart } from "@/app/account/checks";
import { ConnectionPart } from "@/app/account/connection";
import { LimitsPart } from "@/app/account/limits";
import { ModePart } from "@/app/account/mode";
import { OrdersPart } from "@/app/account/orders";
import { SwitchPart } from "@/app/account/switch";
import { PassingNotice } from "@/app/notice";
import type { Account } from "@/lib/account";
import { type Notice, wordsOf } from "@/lib/words";

const ASK_AGAIN_MS = 2_000;

export function AccountView({ first, notice }: { first: Account; notice: Notice | null }) {
  const [account, setAccount] = useState(first);
  const [told, setTold] = useState<Notice | null>(notice);
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
    const timer = setInterval(() => {
      if (!document.hidden) void refresh();
    }, ASK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [refresh]);

  /** Do one thing and show what the database says afterwards; the words are for a refusal only. */
  const act = useCallback(
    async (path: string, body: unknown): Promise<Record<string, unknown> | null> => {
      const answer = await post(path, body);
      setTold("problem" in answer ? wordsOf(String(answer.problem)) : null);
      await refresh();
      return "problem" in answer ? null : answer;
    },
    [refresh],
  );

  return (
    <>
      <ModePart platform={account.platform} />
      <ConnectionPart account={account} act={act} />
      <SwitchPart account={account} act={act} />
      <ChecksPart account={account} />
      <LimitsPart account={account} act={act} />
      <OrdersPart orders={account.orders} denials={account.denials} />
      <PassingNotice notice={stale ?? told} dismiss={stale ? null : () => setTold(null)} />
    </>
  );
}

export type Act = (path: string, body: unknown) => Promise<Record<string, unknown> | null>;

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
