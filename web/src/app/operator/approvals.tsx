// What waits for a person's yes: what, how large, why, how the price moved since, and how long there still is.
"use client";
import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import type { Answer, SetApprovals, Told } from "@/app/operator/use-console";
import { Side } from "@/app/side";
import { type Asked, LONGEST_REASON, msLeft, SECONDS, answerInWords } from "@/lib/operator";
import type { ApprovalMode, WaitingDecision } from "@/lib/gateway/views";
import type { ApprovalState } from "@/lib/messages";
import { grouped, percentOf, price, rupees } from "@/lib/money";
import { analystInWords } from "@/lib/thinking";
import { seconds } from "@/lib/time";

interface Props {
  readonly held: Told | null;
  readonly answer: Answer;
  readonly set: SetApprovals;
}

export function ApprovalsPart({ held, answer, set }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const elapsed = useElapsed(held?.receivedAt ?? null);
  const approvals = held?.console.approvals ?? null;
  const queue = held?.queue ?? [];
  const room = useRef<HTMLDivElement>(null);
  const rows = useRef(0);
  const waiting = approvals?.waiting.length ?? 0;

  useEffect(() => {
    const gone = rows.current > 0 && queue.length === 0;
    rows.current = queue.length;
    if (gone && document.activeElement === document.body) room.current?.focus({ preventScroll: true }); // its button went with the row
  }, [queue.length]);

  return (
    <section aria-labelledby="approvals" className={waiting > 0 ? "card asking" : "card"}>
      <div className="head">
        <h2 id="approvals">Waiting for a yes</h2>
        <span className={approvals?.mode ? "badge warn" : "badge"}>{approvals === null ? "unknown" : approvals.mode ? "on" : "off"}</span>
      </div>
      <p className="unseen" role="status">
        {waiting === 0 ? "" : `${waiting === 1 ? "One decision waits" : `${waiting} decisions wait`} for your yes.`}
      </p>
      <p className="soft">{modeInWords(approvals === null ? undefined : approvals.mode)}</p>
      <div className={approvals?.mode || queue.length > 0 ? "room" : undefined} ref={room} tabIndex={queue.length > 0 ? 0 : -1} role="region" aria-label="Decisions that wait, soonest first">
        {queue.length > 0 && (
          <ul className="queue">
            {queue.map((each) => (
              <QueueRow key={each.asked.decision_id} waiting={each} left={held === null ? 0 : msLeft(each.asked, held.console, elapsed)} answer={answer} />
            ))}
          </ul>
        )}
        {approvals !== null && queue.length === 0 && (
          <p className="facts">
            Nothing waits.{approvals.answered[0] && ` The last one: ${approvals.answered[0].action} ${approvals.answered[0].symbol}, ${answerInWords(approvals.answered[0])}.`}
          </p>
        )}
      </div>
      <div className="actions">
        <button type="button" className="quiet" onClick={() => dialog.current?.showModal()} disabled={approvals === null}>
          {approvals?.mode ? "Ask no more" : "Ask before anything is entered"}
        </button>
      </div>
      <dialog ref={dialog} aria-labelledby="asking">
        <h3 id="asking" tabIndex={-1}>
          {approvals?.mode ? "Let entries leave without a yes?" : "Ask before anything is entered?"}
        </h3>
        <ModeForm key={String(approvals?.mode?.since)} mode={approvals?.mode ?? null} set={set} close={() => dialog.current?.close()} />
      </dialog>
    </section>
  );
}

function modeInWords(mode: ApprovalMode | null | undefined): string {
  if (mode === undefined) return "Not known while the database was not read.";
  if (mode === null) return "Entries leave without a person’s yes.";
  return `Entries wait ${mode.seconds} s at most since ${seconds(mode.since)} IST, by ${mode.by}: ${mode.reason}. No answer is a no; what only closes never waits.`;
}

const HURRY_MS = 15_000;
const ANSWERS: Readonly<Record<ApprovalState, string>> = { waiting: "No answer", yes: "Approved", no: "Refused", timed_out: "No answer" };

function QueueRow({ waiting: { asked, last_price: last, reasoning, reports }, left, answer }: { waiting: WaitingDecision; left: number; answer: Answer }) {
  const [busy, setBusy] = useState(false);
  const what = `${asked.action} ${asked.symbol}`;
  const open = asked.answer === "waiting" && left > 0;

  async function say(yes: boolean): Promise<void> {
    if (busy || !open) return; // and no `disabled`, which would take the focus away
    setBusy(true);
    await answer(asked.decision_id, yes);
    setBusy(false);
  }

  return (
    <li>
      <div className="head">
        <h3>
          <Side side={asked.action} /> {asked.symbol}
        </h3>
        {open ? <Countdown left={left} /> : <span className="badge">{ANSWERS[asked.answer]}</span>}
      </div>
      <p className="fate soft">
        {open ? `Asked at ${seconds(asked.asked_at)} IST. Without a yes by ${seconds(asked.until)} IST nothing is entered.` : answerInWords(asked)}
      </p>
      <dl className="parts">
        <div>
          <dt className="soft">Price then</dt>
          <dd>{price(asked.price)}</dd>
        </div>
        <div>
          <dt className="soft">Now</dt>
          <dd>
            {last === null ? "not known" : price(last.price)}
            <span className="note">{last === null ? "\u00a0" : percentOf(last.price - asked.price, asked.price)}</span>
          </dd>
        </div>
        <div>
          <dt className="soft">Users</dt>
          <dd>{grouped(asked.users)}</dd>
        </div>
        <div>
          <dt className="soft">All together</dt>
          <dd>{rupees(asked.value)}</dd>
        </div>
      </dl>
      {reasoning && <p>{reasoning}</p>}
      {reports.map(({ id, agent_type: agent, score, confidence, summary }) => (
        <p key={id}>
          <strong>{analystInWords(agent)}</strong> <span className="soft">{`${score > 0 ? "+" : ""}${score}, ${confidence} % sure`}</span> {summary}
        </p>
      ))}
      {reasoning === null && <p className="soft">Why it was decided is not known here.</p>}
      <div className="actions">
        <button type="button" aria-busy={busy} aria-disabled={!open} onClick={() => void say(true)}>
          Approve<span className="unseen"> {what}</span>
        </button>
        <button type="button" className="grave" aria-busy={busy} aria-disabled={!open} onClick={() => void say(false)}>
          Refuse<span className="unseen"> {what}</span>
        </button>
      </div>
    </li>
  );
}

function Countdown({ left }: { left: number }) {
  return (
    <span role="timer" className={left < HURRY_MS ? "bad" : "soft"}>
      {`${Math.ceil(left / 1000)} s left`}
    </span>
  );
}

function ModeForm({ mode, set, close }: { mode: ApprovalMode | null; set: SetApprovals; close: () => void }) {
  const [reason, setReason] = useState("");
  const [most, setMost] = useState<number>(SECONDS.usual);
  const [busy, setBusy] = useState(false);
  const id = useId();
  const wish: Asked = mode === null ? "approvals_on" : "approvals_off";

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const done = await set(wish, most, reason);
    setBusy(false);
    close();
    if (done) window.location.reload(); // the queue has a room of its own from now on, and nothing moves meanwhile
  }

  return (
    <form onSubmit={(event) => void submit(event)}>
      <p>
        {mode === null
          ? "The entries of each decision then wait for one yes, for everybody’s orders of it. What only closes never waits, nor do stops, the square-off and Flatten."
          : "New decisions leave by themselves. What waits now still needs its yes, or ends at its deadline."}
      </p>
      {mode === null && (
        <>
          <label htmlFor={`${id}-most`}>Seconds to answer</label>
          <input id={`${id}-most`} type="number" required min={SECONDS.least} max={SECONDS.most} value={most} onChange={(event) => setMost(event.target.valueAsNumber)} />
        </>
      )}
      <label htmlFor={`${id}-why`}>Why</label>
      <input id={`${id}-why`} required pattern=".*\S.*" title="A few words" maxLength={LONGEST_REASON} autoComplete="off" value={reason} onChange={(event) => setReason(event.target.value)} />
      <p className="soft">It is kept with your name and the time.</p>
      <div className="actions">
        <button type="button" className="quiet" onClick={close}>
          Cancel
        </button>
        <button type="submit" aria-busy={busy}>
          {mode === null ? "Ask from now on" : "Ask no more"}
        </button>
      </div>
    </form>
  );
}

/** Milliseconds since then by the browser's own span, second by second: its clock may be wrong. */
function useElapsed(since: number | null): number {
  const [now, setNow] = useState(since ?? 0);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return since === null ? 0 : Math.max(0, now - since);
}
