// The gateway for the parts of a page. All parts share one stream.
"use client";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { dayOf } from "@/lib/gateway/day";
import { type Live, NOTHING, type Passing, stream } from "@/lib/gateway/stream";
import type { Chart, Today, Why } from "@/lib/gateway/views";
import type { Timeframe } from "@/lib/messages";

const NOBODY = (): Live => NOTHING;

/** The day, live. `first` is what the server of the page was told, or the code of why it was not; it holds until more is known. */
export function useLive(first: Today | string | null): Live {
  const live = useSyncExternalStore(stream.subscribe, stream.now, NOBODY);
  if (live.day !== null || live.problem !== null || first === null) return live;
  return typeof first === "string" ? { ...live, status: "away", problem: first } : { ...live, day: dayOf(first) };
}

/** Ask for prices and bars of `instruments` while the part is shown. */
export function useWanted(instruments: readonly string[]): void {
  const key = instruments.join();
  useEffect(() => stream.want(key === "" ? [] : key.split(",")), [key]);
}

/** Hear events that are not part of the day, such as each bar. */
export function useEvent<N extends keyof Passing>(name: N, hear: (told: Passing[N]) => void): void {
  const latest = useRef(hear);
  useEffect(() => {
    latest.current = hear;
  });
  useEffect(() => stream.on(name, (told) => latest.current(told)), [name]);
}

/** An answer of the gateway's: null while it is asked for. */
export type Answer<T> = { readonly value: T; readonly problem: null } | { readonly value: null; readonly problem: string } | null;

/** One day of one instrument; the newest day where none is named. Asked once for each `again`. */
export function useChart(instrument: string | null, timeframe: Timeframe, day: string | null, again: unknown = null): Answer<Chart> {
  return useAnswer<Chart>(instrument && `chart/${instrument}?timeframe=${timeframe}${day ? `&day=${day}` : ""}`, again);
}

/** The story of one order of the user's. */
export function useWhy(order: string, again: unknown = null): Answer<Why> {
  return useAnswer<Why>(`why/${order}`, again);
}

function useAnswer<T>(path: string | null, again: unknown): Answer<T> {
  const [answer, setAnswer] = useState<{ path: string; answer: Answer<T> } | null>(null);
  useEffect(() => {
    if (!path) return;
    const left = new AbortController();
    void ask<T>(path, left.signal).then((told) => {
      if (!left.signal.aborted) setAnswer({ path, answer: told });
    });
    return () => left.abort();
  }, [path, again]);
  return answer?.path === path ? answer.answer : null;
}

/** Ask the gateway once. */
export async function ask<T>(path: string, left: AbortSignal): Promise<Answer<T>> {
  try {
    const response = await fetch(`/api/gateway/${path}`, { cache: "no-store", signal: left });
    const body = (await response.json()) as T & { problem?: unknown };
    return response.ok ? { value: body, problem: null } : { value: null, problem: String(body.problem) };
  } catch {
    return { value: null, problem: "application_away" };
  }
}
