// The trading switch. It shows what the database says; turning on asks once, turning off is immediate.
"use client";
import { useRef, useState } from "react";
import type { Act } from "@/app/account/view";
import { type Account, connectionState } from "@/lib/account";

export function SwitchPart({ account, act }: { account: Account; act: Act }) {
  const question = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const on = account.connection?.is_trading_enabled ?? false;
  const connected = connectionState(account) === "connected" || (on && account.connection?.token_expiry);

  async function turn(to: boolean): Promise<void> {
    question.current?.close();
    setBusy(true);
    await act("/api/account/switch", { on: to });
    setBusy(false);
  }

  return (
    <section aria-labelledby="trading">
      <h2 id="trading">Trading</h2>
      <p className="state">{switchInWords(account)}</p>
      <button
        type="button"
        role="switch"
        aria-checked={on}
        aria-labelledby="trading"
        disabled={busy || (!connected && !on)}
        onClick={() => (on ? void turn(false) : question.current?.showModal())}
      >
        {on ? "Turn off" : "Turn on"}
      </button>
      <dialog ref={question} aria-labelledby="question">
        <h3 id="question">Start trading with {account.connection?.client_id}?</h3>
        <p>Each new decision of ATS may then place an order for this account, without asking you again.</p>
        <p>
          Mode: the operator sets it. It is paper (simulated orders) unless the operator asked for live orders; this page cannot see it
          yet, so ask the operator when you are not sure.
        </p>
        <p>Limits: the operator sets the value of an order and the number of orders a day; they are not shown here yet.</p>
        <p>You can turn it off at any moment. An order already on its way to Dhan is not called back.</p>
        <button type="button" onClick={() => void turn(true)}>
          Start trading
        </button>
        <button type="button" className="quiet" onClick={() => question.current?.close()}>
          Cancel
        </button>
      </dialog>
    </section>
  );
}

function switchInWords(account: Account): string {
  const connected = connectionState(account) === "connected";
  if (account.connection?.is_trading_enabled)
    return connected ? "On. Your account follows the decisions." : "On, but no order is placed until you connect to Dhan again.";
  return connected ? "Switched off. No order is placed for you." : "Switched off. Connect to Dhan before you turn it on.";
}
