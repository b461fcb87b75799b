// What grows by itself, newest first: halts in force, what operators did, and what went wrong in the last day.
"use client";
import type { ReactNode } from "react";
import type { Console, OperatorAction } from "@/lib/gateway/views";
import { grouped } from "@/lib/money";
import { actionName, haltInWords, isAnswer } from "@/lib/operator";
import { inIndia, momentOf, seconds } from "@/lib/time";

type Names = (id: string | null) => string;

interface Listed<T> {
  readonly id: string;
  readonly title: string;
  /** Said where there are none. */
  readonly none: string;
  /** Null until they were told. */
  readonly rows: readonly T[] | null;
  readonly row: (each: T, at: number) => ReactNode;
}

function ListPart<T>({ id, title, none, rows, row }: Listed<T>) {
  return (
    <section aria-labelledby={id} className="card">
      <div className="head">
        <h2 id={id}>{title}</h2>
      </div>
      {!rows?.length && <p className="soft">{rows ? none : <span className="skeleton" />}</p>}
      <ul className="rows">{rows?.map(row)}</ul>
    </section>
  );
}

export function HaltsPart({ told, names }: { told: Console | null; names: Names }) {
  return (
    <ListPart
      id="halts"
      title="Halts in force"
      none="None."
      rows={told?.halts ?? null}
      row={(halt, at) => (
        <li key={at}>
          <p>
            <strong>{names(halt.user_id)}</strong> {haltInWords(halt)}
          </p>
        </li>
      )}
    />
  );
}

export function ActionsPart({ actions, names }: { actions: readonly OperatorAction[] | null; names: Names }) {
  return (
    <ListPart
      id="deeds"
      title="What operators did"
      none="Nothing yet."
      rows={actions}
      row={({ id, operator, action, user_id: user, reason, at }) => (
        <li key={id}>
          <h3>
            {actionName(action)} {isAnswer(action) || <span className="soft">{names(user)}</span>}
          </h3>
          <time dateTime={momentOf(at)}>{inIndia(momentOf(at))}</time>
          <p>
            {operator}
            {reason !== action && `: ${reason}`}
          </p>
        </li>
      )}
    />
  );
}

export function IncidentsPart({ told, names }: { told: Console | null; names: Names }) {
  return (
    <ListPart
      id="incidents"
      title="Incidents"
      none="None in the last day."
      rows={told?.incidents ?? null}
      row={({ at, kind, user_id: user, words }, row) => (
        <li key={`${at} ${row}`}>
          <h3>
            {kind} {user !== null && <span className="soft">{names(user)}</span>}
          </h3>
          <time dateTime={momentOf(at)}>{`${seconds(at)} IST`}</time>
          <p>{words}</p>
        </li>
      )}
    />
  );
}

export function DeadLettersPart({ told }: { told: Console | null }) {
  return (
    <ListPart
      id="letters"
      title="Records that could not be read"
      none="None in the last day."
      rows={told?.pipeline.dead_letters ?? null}
      row={({ topic, reason, count }) => (
        <li key={`${topic} ${reason}`}>
          <p>
            <strong className="bad">{`${grouped(count)} of ${topic}`}</strong> {reason}
          </p>
        </li>
      )}
    />
  );
}
