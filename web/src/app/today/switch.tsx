// The trading switch. It shows what the database says; turning on asks once, turning off is immediate.
"use client";
import { type ReactNode, useRef, useState } from "react";
import { limitsInWords, modeName, whatItMeans } from "@/app/today/mode";
import type { Act } from "@/app/account/use-account";
import { type Account, connectionState, type Platform } from "@/lib/account";
import { haltInWords } from "@/lib/words";

/** `children` stand below the switch. */
export function SwitchPart({ account, act, children }: { account: Account; act: Act; children: ReactNode }) {
  const question = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState<Platform | null>(null); // they must not change under the reader's eyes
  const { connection, platform } = account;
  const terms = asked ?? platform;
  const live = terms !== null && terms.mode !== "paper";
  const on = connection?.is_trading_enabled ?? false;
  const idle = on ? whyIdle(account) : null;
  const sellsShort = !(account.limits?.long_only ?? live); // with real money only when an operator says so
  const possible = on || (connectionState(account) === "connected" && platform !== null);

  function ask(): void {
    setAsked(platform);
    question.current?.showModal();
    // the browser would go to the first button, and on a small phone scroll the words out of sight
    heading.current?.focus();
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
      <p className={idle ? "facts warn" : "facts"} id="trading-state">
        {idle ?? switchInWords(account)}
      </p>
      {children}
      <dialog ref={question} aria-labelledby="question">
        <h3 id="question" ref={heading} tabIndex={-1}>
          Start trading with {connection?.client_id}?
        </h3>
        <p>ATS then places orders for this account. It does not ask you again.</p>
        {terms && <Terms platform={terms} />}
        <ul className="risks">
          <li>Each position gets a stop-loss order. A market that jumps past it loses you more.</li>
          <li>{sellsShort ? "ATS also sells short: shares you do not hold." : "ATS only buys first: it does not sell short."}</li>
          <li>ATS closes its positions before the end of the day, at the price of the moment. If it fails, Dhan does, for a fee.</li>
          {live && (
            <li>
              Where a limit of a day’s loss is set, ATS opens nothing more at it, and Dhan itself closes every intraday position of this
              account: those you bought by hand too.
            </li>
          )}
          <li>You can turn it off at any moment. Orders on their way are not called back.</li>
        </ul>
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
      <p>{limitsInWords(platform)} This bounds what is ordered, not what you can lose.</p>
    </div>
  );
}

/** Why no order leaves although the switch is on; null when orders may. */
function whyIdle(account: Account): string | null {
  const { platform, orders_used_up: usedUp } = account;
  if (connectionState(account) !== "connected") return "On, but no order is placed until you connect to Dhan again.";
  if (account.token_refused) return "On, but Dhan no longer accepts the connection. No order is placed until you connect again.";
  if (platform === null || !platform.alive) return "On, but no order worker is running. No order is placed until one is.";
  if (!platform.admits_this_account && platform.mode === "family") return "On, but your account is not declared as a member of the operator's family. No order is placed.";
  if (!platform.admits_this_account) return "On, but this mode does not trade your account. No order is placed.";
  if (account.halts.some(({ own }) => own)) return "On, but you stopped your account. No position is opened until you allow it again.";
  if (account.halts.length > 0) return "On, but trading is halted. No position is opened until the halt ends.";
  if (platform.halted) return haltInWords(platform.halted);
  if (usedUp) return `On, but the day's ${platform.max_orders_per_day} orders are used up. Only closing orders are placed.`;
  return null;
}

function switchInWords(account: Account): string {
  if (account.connection?.is_trading_enabled) return "On. Your account follows the decisions.";
  if (connectionState(account) !== "connected") return "Switched off. Connect to Dhan before you turn it on.";
  if (account.mode_changed) return "Switched off by itself: ATS changed to another mode than you agreed to. Read it before you turn it on.";
  if (account.platform === null) return "Switched off. It can be turned on when an order worker has told its mode and limits.";
  return "Switched off. No order is placed for you.";
}
