// The day's decisions with their reports: the newest as they come, earlier ones when they are asked for.
"use client";
import { useCallback, useEffect, useState } from "react";
import { ask } from "@/lib/gateway/hooks";
import type { Decisions, DecisionStory } from "@/lib/gateway/views";

const AT_ONCE = 20;

interface Known {
  readonly date: string | null;
  readonly stories: readonly DecisionStory[] | null;
  readonly more: boolean;
  readonly problem: string | null;
}

const NOTHING: Known = { date: null, stories: null, more: false, problem: null };

/** Asked anew for each `again`. What is known stays while an answer is awaited. */
export function useStories(again: string) {
  const [known, setKnown] = useState(NOTHING);
  useEffect(() => {
    const left = new AbortController();
    void ask<Decisions>(`decisions?most=${AT_ONCE}`, left.signal).then((answer) => {
      if (left.signal.aborted || answer === null) return;
      setKnown((before) => (answer.value ? withNewest(before, answer.value) : { ...before, problem: before.stories ? null : answer.problem }));
    });
    return () => left.abort();
  }, [again]);

  const last = known.stories?.at(-1)?.decision.id;
  const earlier = useCallback((): void => {
    if (!last) return;
    void ask<Decisions>(`decisions?most=${AT_ONCE}&before=${last}`, new AbortController().signal).then((answer) => {
      if (answer?.value) setKnown((before) => withEarlier(before, answer.value));
    });
  }, [last]);
  return { ...known, earlier };
}

/** Where the newest page does not reach what is known, that is let go of: nothing may be missing between. */
function withNewest(before: Known, { trading_date: date, decisions, more }: Decisions): Known {
  const kept = before.date === date ? (before.stories ?? []) : [];
  const reach = kept.findIndex(({ decision }) => decision.id === decisions.at(-1)?.decision.id);
  if (reach < 0) return { date, stories: decisions, more, problem: null };
  return { date, stories: [...decisions, ...kept.slice(reach + 1)], more: kept.length > reach + 1 ? before.more : more, problem: null };
}

function withEarlier(before: Known, { trading_date: date, decisions, more }: Decisions): Known {
  if (before.date !== date) return before;
  const known = new Set(before.stories?.map(({ decision }) => decision.id));
  return { ...before, stories: [...(before.stories ?? []), ...decisions.filter(({ decision }) => !known.has(decision.id))], more };
}
