// One limit changed: what is tighter is sent at once, what is wider after its line was read and confirmed.
"use client";
import { type FormEvent, type ReactNode, useRef, useState } from "react";
import type { Act } from "@/app/account/use-account";
import { amountOf, ceilingInWords, heldInWords, inRupees, inWords, isAmount, isLeast, isList, isWider, LIMITS, type Name, type Standing, type Value, WORDS } from "@/lib/limits";

interface Props {
  readonly name: Name;
  readonly standing: Standing;
  readonly act: Act;
  /** The form goes, and the focus needs another place. */
  readonly done: () => void;
}

export function LimitForm({ name, standing: now, act, done }: Props) {
  const [given, setGiven] = useState<Value | string>(isAmount(name) ? "" : now.holds);
  const [wrong, setWrong] = useState<string | null>(null);
  const [asked, setAsked] = useState<{ readonly value: Value } | null>(null);
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLFormElement>(null);
  const value = typeof given === "string" && isAmount(name) ? amountOf(name, given) : (given as Value);
  const empty = isAmount(name) && value === null;

  async function send(wish: Value, widen: boolean): Promise<void> {
    if (busy) return; // and no `disabled`, which would take the focus away
    setBusy(true);
    const changed = await act("/api/account/limits", { name, value: wish, widen });
    setBusy(false);
    if (changed) leave();
    else setAsked(null);
  }

  function leave(): void {
    setAsked(null);
    done();
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    const refused = empty ? `${LIMITS[name]}: ${expected(name)}` : isWider(name, value, now.ceiling) ? `${LIMITS[name]}: ${ceilingInWords(name, now)}.` : null;
    setWrong(refused);
    if (refused !== null) return first.current?.querySelector("input")?.focus();
    if (isWider(name, value, now.holds)) setAsked({ value });
    else void send(value, false);
  }

  if (name === "long_only" && now.ceiling === true) return <p className="soft">Only the operator allows short sales again.</p>;
  if (asked) return <Confirmation {...{ name, now, busy }} value={asked.value} yes={() => void send(asked.value, true)} no={leave} />;
  return (
    <form ref={first} onSubmit={submit} noValidate>
      <Fields {...{ name, now, given, wrong }} change={setGiven} />
      {wrong && (
        <p className="bad" role="alert" id={`${name}-wrong`}>
          {wrong}
        </p>
      )}
      {name === "max_daily_loss_paise" && (
        <p className="warn">At this loss Dhan itself also closes every intraday position of your account, those you bought by hand too.</p>
      )}
      <div className="actions">
        <button type="submit" aria-busy={busy} aria-label={`${verb(name, value, now, empty)}: ${LIMITS[name]}`}>
          {verb(name, value, now, empty)}
        </button>
        {now.own !== null && (
          <button type="button" className="quiet" onClick={() => setAsked({ value: null })}>
            Give up your choice
          </button>
        )}
      </div>
    </form>
  );
}

function verb(name: Name, value: Value, now: Standing, empty: boolean): string {
  return !empty && isWider(name, value, now.holds) ? "Widen" : "Tighten";
}

/** What can be typed. */
function expected(name: Name): string {
  if (inRupees(name)) return "type an amount in rupees, such as 50,000 or 1,500.50.";
  return isLeast(name) ? "type whole minutes, 1,440 at most." : "type a whole number, such as 20.";
}

interface FieldsProps {
  readonly name: Name;
  readonly now: Standing;
  readonly given: Value | string;
  readonly wrong: string | null;
  readonly change: (to: Value | string) => void;
}

function Fields({ name, now, given, wrong, change }: FieldsProps) {
  if (isList(name)) {
    const words = Object.keys(WORDS[name]).filter((word) => !Array.isArray(now.ceiling) || now.ceiling.includes(word));
    const chosen = Array.isArray(given) ? (given as readonly string[]) : words;
    const choose = (word: string, on: boolean): void => change(words.filter((each) => (each === word ? on : chosen.includes(each))));
    return (
      <fieldset>
        <legend>{`${LIMITS[name]} you allow`}</legend>
        {words.map((word) => (
          <Tick key={word} on={chosen.includes(word)} turn={(on) => choose(word, on)}>
            {WORDS[name][word]}
          </Tick>
        ))}
      </fieldset>
    );
  }
  if (name === "long_only") {
    return (
      <Tick on={given === true} turn={(on) => change(on ? true : null)}>
        No short sales: a position begins with a purchase
      </Tick>
    );
  }
  return (
    <>
      <label htmlFor={name}>{`${isLeast(name) ? "At least" : "At most"}${inRupees(name) ? " (₹)" : ""}`}</label>
      <input id={name} inputMode="decimal" autoComplete="off" required value={String(given)} aria-invalid={wrong !== null} aria-describedby={wrong ? `${name}-wrong` : undefined} onChange={(event) => change(event.target.value)} />
    </>
  );
}

function Tick({ on, turn, children }: { on: boolean; turn: (on: boolean) => void; children: ReactNode }) {
  return (
    <label className="tick">
      <input type="checkbox" checked={on} onChange={(event) => turn(event.target.checked)} />
      <span>{children}</span>
    </label>
  );
}

interface ConfirmationProps {
  readonly name: Name;
  readonly now: Standing;
  readonly value: Value;
  readonly busy: boolean;
  readonly yes: () => void;
  readonly no: () => void;
}

/** The line that is read before anything becomes wider; it takes the focus from the button that asked for it. */
function Confirmation({ name, now, value, busy, yes, no }: ConfirmationProps) {
  const to = value === null ? now.ceiling : value;
  return (
    <div className="confirmation">
      <p className="warn" tabIndex={-1} ref={(line) => line?.focus()}>
        {`${LIMITS[name]}: ${heldInWords(name, now.holds)} now, ${heldInWords(name, to)} from then on. ${isWider(name, to, now.holds) ? "More can be lost." : "Nothing becomes wider by it now."}`}
      </p>
      <div className="actions">
        <button type="button" aria-busy={busy} onClick={yes}>
          {value === null ? "Give up your choice" : `Widen to ${inWords(name, to)}`}
        </button>
        <button type="button" className="quiet" onClick={no}>
          Keep it
        </button>
      </div>
    </div>
  );
}
