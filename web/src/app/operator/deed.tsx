// One deed of an operator: what, to whom, and why. Escape is no; the words of the reason are kept, and users can read them.
"use client";
import { type FormEvent, type RefObject, useId, useRef, useState } from "react";
import { LimitsOf } from "@/app/operator/limits";
import type { Act } from "@/app/operator/use-console";
import type { TradingState } from "@/lib/gateway/views";
import { type Deed, DEED_WORDS, deedsFor, LONGEST_REASON } from "@/lib/operator";

export interface Target {
  /** Null: everybody. */
  readonly user: string | null;
  readonly name: string;
  readonly state: TradingState | null;
}

interface Asking {
  readonly dialog: RefObject<HTMLDialogElement | null>;
  readonly target: Target | null;
  readonly ask: (target: Target) => void;
}

export function useDeed(): Asking {
  const dialog = useRef<HTMLDialogElement>(null);
  const [target, setTarget] = useState<Target | null>(null);
  return {
    dialog,
    target,
    ask: (wanted) => {
      setTarget(wanted);
      dialog.current?.showModal();
      dialog.current?.querySelector("h3")?.focus();
    },
  };
}

export function DeedDialog({ deed: { dialog, target }, act }: { deed: Asking; act: Act }) {
  return (
    <dialog ref={dialog} aria-labelledby="deed">
      <h3 id="deed" tabIndex={-1}>
        What may {target?.name ?? "everybody"} do?
      </h3>
      {target && <DeedForm key={`${target.user} ${target.state}`} target={target} act={act} close={() => dialog.current?.close()} />}
      {target?.user && <LimitsOf key={target.user} user={target.user} />}
    </dialog>
  );
}

function DeedForm({ target, act, close }: { target: Target; act: Act; close: () => void }) {
  const deeds = deedsFor(target.state, target.user === null);
  const [chosen, setChosen] = useState<Deed | null>(null);
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const id = useId();

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy || chosen === null) return; // and no `disabled`, which would take the focus away
    setBusy(true);
    await act(chosen, target.user, reason);
    setBusy(false);
    setReason("");
    close();
  }

  return (
    <form onSubmit={(event) => void submit(event)}>
      <fieldset className="deeds">
        <legend className="unseen">What to do</legend>
        {deeds.map((deed) => (
          <label key={deed}>
            <input type="radio" name={id} required checked={chosen === deed} onChange={() => setChosen(deed)} />
            <span>
              <strong>{DEED_WORDS[deed].name}</strong>
              <span className="soft">{DEED_WORDS[deed].does}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <label htmlFor={`${id}-why`}>Why</label>
      <input id={`${id}-why`} required pattern=".*\S.*" title="A few words" maxLength={LONGEST_REASON} autoComplete="off" value={reason} onChange={(event) => setReason(event.target.value)} />
      <p className="soft">It is kept with your name and the time, and users can read it.</p>
      <div className="actions">
        <button type="button" className="quiet" onClick={close}>
          Cancel
        </button>
        <button type="submit" className={chosen === "resume" ? undefined : "grave"} aria-busy={busy}>
          {chosen === null ? "Do it" : `${DEED_WORDS[chosen].name} ${target.user === null ? "everybody" : "this user"}`}
        </button>
      </div>
    </form>
  );
}
