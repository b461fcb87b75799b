// What is asked for when somebody opens it, and again when it has changed.
"use client";
import { type ReactNode, useEffect, useState } from "react";
import { wordsOf } from "@/lib/words";

interface Props<Told> {
  readonly summary: string;
  /** Of ours, which answers `Told` or a problem. */
  readonly path: string;
  /** Differs when the answer does. */
  readonly version: string;
  readonly children: (told: Told) => ReactNode;
}

export function WhenOpen<Told extends object>({ summary, path, version, children }: Props<Told>) {
  const [open, setOpen] = useState(false);
  const [answer, setAnswer] = useState<Told | { readonly problem: string } | null>(null);

  useEffect(() => {
    if (!open) return;
    const left = new AbortController();
    void ask<Told>(path, left.signal).then((told) => {
      if (!left.signal.aborted) setAnswer(told);
    });
    return () => left.abort();
  }, [open, path, version]);

  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {answer === null ? <p className="soft">It comes in a moment.</p> : "problem" in answer ? <p className="bad">{wordsOf(answer.problem).text}</p> : children(answer)}
    </details>
  );
}

async function ask<Told>(path: string, signal: AbortSignal): Promise<Told | { readonly problem: string }> {
  try {
    const response = await fetch(path, { cache: "no-store", signal });
    return (await response.json()) as Told;
  } catch {
    return { problem: "application_away" };
  }
}
