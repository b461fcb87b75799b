// The trading switch. It shows what the database says; turning on asks once, turning off is immediate.
"use client";
import { useRef, useState } from "react";
import { limitsInWords, modeName, whatItMeans } from "@/app/account/mode";
import type { Act } from "@/app/account/view";
import { type Account, connectionState, type Platform } from "@/lib/account";

export function SwitchPart({ account, act }: { account: Account; act: Act }) {
  const question = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState<Platform | null>(null); // they must not change under the reader's eyes
  const { connection, platform } = account;
  const terms = asked ?? platform;
  const on = connection?.is_trading_enabled ?? false;
  const possible = on || (connectionState(account) === "connected" && platform !== null);

  function ask(): void {
    setAsked(platform);
    question.current?.showModal();
  }

  async function turn(to: boolean): Promise<void> {
    question.current?.close();
    if (busy) return; // and no `disabled`, which would take the focus away
    setBusy(true);
    await act("/api/account/switch", to ? { on: true, terms } : { on: false });
    setBusy(false);
  }

  return (
    <section aria-labelledby="trading" className="card">
      <div className="head">
        <h2 id="trading">Trading</h2>
        <button
          type="button"
          role="switch"
          className="switch"
          aria-checked={on}
          aria-labelledby="trading"
          aria-describedby="trading-state"
          aria-busy={busy}
          disabled={!possible}
          onClick={() => (on ? void turn(false) : ask())}
        >
          <span>{on ? "On" : "Off"}</span>
          <span className="track" />
        </button>
      </div>
      <p className="facts" id="trading-state">
        {switchInWords(account)}
      </p>
      <dialog ref={question} aria-labelledby="question">
        <h3 id="question">Start trading with {connection?.client_id}?</h3>
        <p>Each new decision of ATS may then place an order for this account, without asking you again.</p>
        {terms && <Terms platform={terms} />}
        <p>You can turn it off at any moment. An order already on its way to Dhan is not called back.</p>
        <div className="actions">
          <button type="button" className="quiet" onClick={() => question.current?.close()}>
            Cancel
          </button>
          <button type="button" onClick={() => void turn(true)}>
            Start trading
          </button>
        </div>
      </dialog>
    </section>
  );
}

function Terms({ platform }: { platform: Platform }) {
  return (
    <div className={platform.mode === "paper" ? "terms" : "terms live"}>
      <p>
        <strong>{modeName(platform)}.</strong> {whatItMeans(platform)}
        {!platform.alive && " No order worker is running at the moment: trading starts when one does."}
      </p>
      <p>{limitsInWords(platform)}</p>
    </div>
  );
}

function switchInWords(account: Account): string {
  const state = connectionState(account);
  if (account.connection?.is_trading_enabled)
    return state === "connected" ? "On. Your account follows the decisions." : "On, but no order is placed until you connect to Dhan again.";
  if (state !== "connected") return "Switched off. Connect to Dhan before you turn it on.";
  if (account.mode_changed) return "Switched off by itself: ATS changed to another mode than you agreed to. Read it before you turn it on.";
  if (account.platform === null) return "Switched off. It can be turned on when an order worker has told its mode and limits.";
  return "Switched off. No order is placed for you.";
}
