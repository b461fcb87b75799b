// What happened on the chart, beside it: a list to step through, and what one of them means.
"use client";
import Link from "next/link";
import type { Mark } from "@/app/chart/marks";
import { momentOf, seconds } from "@/lib/time";

interface Props {
  /** Whether the day is known: while it is asked for, and while nothing arrives, it is not. */
  readonly known: boolean;
  readonly marks: readonly Mark[];
  readonly picked: Mark | null;
  readonly pick: (mark: Mark | null) => void;
}

export function Happened({ known, marks, picked, pick }: Props) {
  return (
    <section aria-labelledby="happened" className="card">
      <div className="head">
        <h2 id="happened">What happened</h2>
        {marks.length > 0 && <span className="soft">{marks.length}</span>}
      </div>
      {marks.length === 0 ? (
        <p className="soft">{known ? "No signal and no order of yours on this day. They appear here by themselves." : "Not known yet."}</p>
      ) : (
        <ul className="rows scrolled" tabIndex={0} aria-label="What happened, newest first">
          {marks.toReversed().map((mark) => (
            <li key={mark.id}>
              <button type="button" className="entry" aria-expanded={picked?.id === mark.id} aria-controls={`of-${mark.id}`} onClick={() => pick(picked?.id === mark.id ? null : mark)}>
                <span className={`dot ${mark.kind} ${mark.up ? "good" : "bad"}`} aria-hidden="true" />
                <span>{mark.title}</span>
                <time dateTime={momentOf(mark.at)}>{seconds(mark.at)}</time>
              </button>
              <div id={`of-${mark.id}`} hidden={picked?.id !== mark.id} className="words">
                {mark.words.map((words) => (
                  <p key={words}>{words}</p>
                ))}
                {mark.order && (
                  <p>
                    <Link href={`/why/${mark.order}`} prefetch={false}>
                      Why, step by step
                    </Link>
                  </p>
                )}
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
