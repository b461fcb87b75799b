// The console as the gateway last told it: asked again every three seconds while somebody looks, and after each deed.
"use client";
import { useCallback, useEffect, useState } from "react";
import { ask } from "@/lib/gateway/hooks";
import type { Console, OperatorAction, OperatorActions, WaitingDecision } from "@/lib/gateway/views";
import { type Asked, type Deed, inQueue } from "@/lib/operator";
import { type Notice, wordsOf } from "@/lib/words";

const ASK_AGAIN_MS = 3_000; // one question to the database each; operators are few

export type Act = (deed: Deed, user: string | null, reason: string) => Promise<boolean>;

export type Answer = (decision: string, yes: boolean) => Promise<void>;
export type SetApprovals = (wish: Asked, seconds: number, reason: string) => Promise<boolean>;

/** An answer of the gateway, and when it came, by the browser's own span. */
export interface Told {
  readonly console: Console;
  readonly receivedAt: number;
  /** What waits for a yes, as it is shown. */
  readonly queue: readonly WaitingDecision[];
}

interface Held {
  readonly told: Told | null;
  /** Why the newest answer is missing, as a code. */
  readonly problem: string | null;
  /** Null until they were told. */
  readonly actions: readonly OperatorAction[] | null;
  readonly act: Act;
  readonly answer: Answer;
  readonly setApprovals: SetApprovals;
  readonly notice: Notice | null;
  readonly dismiss: () => void;
}

export function useConsole(first: Console | string): Held {
  const [told, setTold] = useState<Told | null>(typeof first === "string" ? null : toldBy(first, 0, null));
  const [problem, setProblem] = useState(typeof first === "string" ? first : null);
  const [actions, setActions] = useState<readonly OperatorAction[] | null>(null);
  const [notice, setNotice] = useState<Notice | null>(null);

  const refresh = useCallback(async (left: AbortSignal): Promise<void> => {
    const [answer, done] = await Promise.all([ask<Console>("operator/console", left), ask<OperatorActions>("operator/actions", left)]);
    if (left.aborted) return;
    setProblem(answer?.problem === "not_known" ? "not_operator" : (answer?.problem ?? null));
    const { value } = answer ?? {};
    if (value) setTold((before) => toldBy(value, performance.now(), before));
    if (done?.value) setActions(done.value.actions);
  }, []);

  useEffect(() => {
    const left = new AbortController();
    const look = (): void => {
      if (!document.hidden) void refresh(left.signal);
    };
    const timer = setInterval(look, ASK_AGAIN_MS);
    look();
    return () => {
      clearInterval(timer);
      left.abort();
    };
  }, [refresh]);

  const send = useCallback(
    async (path: string, body: unknown): Promise<boolean> => {
      const refused = await post(path, body);
      setNotice(refused === null ? null : wordsOf(refused));
      await refresh(new AbortController().signal);
      return refused === null;
    },
    [refresh],
  );
  const act = useCallback<Act>((deed, user, reason) => send("act", { deed, user, reason }), [send]);
  const answer = useCallback<Answer>(
    async (decision, yes) => void (await send("approve", { asked: yes ? "approve" : "refuse", decision, seconds: null, reason: "" })),
    [send],
  );
  const setApprovals = useCallback<SetApprovals>(
    (asked, seconds, reason) => send("approve", { asked, decision: null, seconds, reason }),
    [send],
  );
  return { told, problem, actions, act, answer, setApprovals, notice, dismiss: () => setNotice(null) };
}

function toldBy(console: Console, receivedAt: number, before: Told | null): Told {
  return { console, receivedAt, queue: console.approvals === null ? [] : inQueue(console.approvals, before?.queue ?? []) };
}

/** Null where it was done, else a code. */
async function post(path: string, body: unknown): Promise<string | null> {
  try {
    const response = await fetch(`/api/operator/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    return response.ok ? null : String(((await response.json()) as { problem?: unknown }).problem);
  } catch {
    return "application_away";
  }
}
