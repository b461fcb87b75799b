// The way out: close what is open, open nothing, until the user allows it again.
"use client";
import { useState } from "react";
import type { Act } from "@/app/account/use-account";
import { Question, useQuestion } from "@/app/question";
import type { Account } from "@/lib/account";
import { inIndia } from "@/lib/time";

interface Props {
  /** Null while the database does not answer. */
  readonly account: Account | null;
  /** How many positions are open; null where nobody knows. */
  readonly open: number | null;
  readonly act: Act;
}

export function StopPart({ account, open, act }: Props) {
  const stopping = useQuestion();
  const allowing = useQuestion();
  const [busy, setBusy] = useState(false);
  const mine = account?.halts.find(({ own, flatten }) => own && flatten) ?? null;
  const theirs = account?.halts.find(({ own }) => !own) ?? null;

  async function turn(stop: boolean): Promise<void> {
    if (busy) return; // and no `disabled`, which would take the focus away
    setBusy(true);
    await act("/api/account/stop", { stop });
    setBusy(false);
  }

  return (
    <section aria-labelledby="stop" className="card">
      <div className="head">
        <h2 id="stop">Stop</h2>
        {(mine ?? theirs) && <span className="badge bad">Stopped</span>}
      </div>
      <div className="facts" aria-live="polite">
        {mine ? <p>{`You stopped your account on ${inIndia(mine.since)}. ${closing(open)}`}</p> : <p>Closes every open position at the market, cancels what waits, and opens nothing more.</p>}
        {theirs && <p className="warn">{`${theirs.everybody ? "The operator halted everybody" : "Your account was halted"} on ${inIndia(theirs.since)}. You cannot lift this.`}</p>}
      </div>
      <div className="actions">
        {mine ? (
          <button type="button" className="quiet" aria-busy={busy} onClick={allowing.ask}>
            Allow trading again
          </button>
        ) : (
          <button type="button" className="grave" aria-busy={busy} onClick={stopping.ask}>
            Stop and flatten my account
          </button>
        )}
      </div>
      <Question dialog={stopping.dialog} title="Stop and flatten your account?" yes="Stop and flatten" grave onYes={() => void turn(true)}>
        <p>{open === null ? "Whatever is open is closed" : open === 0 ? "Nothing is open now; what is being bought or sold meanwhile is closed" : `${open === 1 ? "One position is" : `${open} positions are`} closed`} at the price of the moment, which may be worse than its stop.</p>
        <p>Orders that wait are cancelled. Nothing is opened until you allow it again. Positions that ATS did not open are closed too, if they are intraday.</p>
      </Question>
      <Question dialog={allowing.dialog} title="Allow trading again?" yes="Allow trading" onYes={() => void turn(false)}>
        <p>ATS may open positions for your account again, as far as the switch is on.</p>
      </Question>
    </section>
  );
}

function closing(open: number | null): string {
  if (open === null) return "Whether everything is closed is not known here: look at Dhan.";
  if (open === 0) return "Nothing is open.";
  return `${open === 1 ? "One position is" : `${open} positions are`} still open, and being closed.`;
}
