// How good the day's decisions were, by rule and agent. Made when somebody asks: every bar of the day is read for it.
"use client";
import { useRef, useState } from "react";
import { ask } from "@/lib/gateway/hooks";
import type { ScoreCard, ScoreEstimate, ScoreLine } from "@/lib/gateway/views";
import { dayInWords, seconds } from "@/lib/time";
import { wordsOf } from "@/lib/words";

export function ScoresPart() {
  const [card, setCard] = useState<ScoreCard | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const asked = useRef(false);

  async function score(): Promise<void> {
    if (asked.current) return; // and no `disabled`, which would take the focus away
    asked.current = true;
    setBusy(true);
    const answer = await ask<ScoreCard>("operator/scorecard", new AbortController().signal);
    asked.current = false;
    setBusy(false);
    setProblem(answer?.problem ?? null);
    if (answer?.value) setCard(answer.value);
  }

  return (
    <section aria-labelledby="scores" aria-busy={busy} className="card scores">
      <div className="head">
        <h2 id="scores">Score card</h2>
        {card && <span className="soft">{`${card.trading_date === null ? "No day yet" : dayInWords(card.trading_date)}, as of ${seconds(card.made_at)} IST`}</span>}
      </div>
      <div role="status">
        {problem !== null && <p className="bad">{`${wordsOf(problem).text}${card === null ? " ats scorecard makes it on a terminal." : ""}`}</p>}
        {busy && <p className="soft">Every bar of the day is read; a minute at most.</p>}
      </div>
      {card === null && !busy && problem === null && <p className="soft">Each rule’s and agent’s decisions against what the market did in the 15 minutes after.</p>}
      {card !== null && card.decisions === 0 && <p className="soft">No decision of the day is recorded yet.</p>}
      {card !== null && card.decisions > 0 && <Tables card={card} />}
      <div className="actions">
        <button type="button" className="quiet" aria-busy={busy} onClick={() => void score()}>
          {card === null ? "Score the day" : "Score it again"}
        </button>
      </div>
    </section>
  );
}

function Tables({ card: { sections, remarks, method, decisions, unreadable } }: { card: ScoreCard }) {
  return (
    <>
      {sections.length === 0 && <p className="soft">{`${decisions} decisions, and no price after any of them yet.`}</p>}
      {sections.map(({ title, lines }) => (
        <table key={title} className="carded">
          <caption>{title}</caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Scored</th>
              <th scope="col">Right</th>
              <th scope="col">Gain, bp</th>
              <th scope="col">Profit factor</th>
              <th scope="col">Brier</th>
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <ScoreRow key={line.name} line={line} />
            ))}
          </tbody>
        </table>
      ))}
      <ul className="soft">
        {remarks.map((each) => (
          <li key={each}>{each}</li>
        ))}
        {unreadable > 0 && <li>{`${unreadable} records could not be read, and are not scored.`}</li>}
        <li>{`${method}. bp: hundredths of a percent, before charges.`}</li>
      </ul>
    </>
  );
}

function ScoreRow({ line: { name, count, too_few: few, right, gain, profit_factor: factor, brier } }: { line: ScoreLine }) {
  return (
    <tr className={few ? "soft" : undefined}>
      <th scope="row">
        {name}
        {few && <span className="note">too few to say anything</span>}
      </th>
      <td data-name="Scored">{count}</td>
      <td data-name="Right">
        <Figure of={right} digits={1} times={100} unit=" %" />
      </td>
      <td data-name="Gain, bp">
        <Figure of={gain} digits={1} />
      </td>
      <td data-name="Profit factor">
        <Figure of={factor} digits={2} />
      </td>
      <td data-name="Brier">
        <Figure of={brier} digits={3} />
      </td>
    </tr>
  );
}

function Figure({ of: { value, low, high }, digits, times = 1, unit = "" }: { of: ScoreEstimate; digits: number; times?: number; unit?: string }) {
  if (value === null) return <>–</>;
  const said = (figure: number): string => (figure * times).toFixed(digits).replace("-", "\u2212");
  return (
    <>
      {said(value)}
      {unit}
      {low !== null && high !== null && <span className="note">{`${said(low)} to ${said(high)}`}</span>}
    </>
  );
}
