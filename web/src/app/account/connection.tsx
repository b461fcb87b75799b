// The Dhan account: its state in words, connect, reconnect before the token ends, disconnect.
"use client";
import { type FormEvent, type ReactNode, useState } from "react";
import type { Act } from "@/app/account/use-account";
import { type Account, type ConnectionState as State, connectionState, endsSoon } from "@/lib/account";
import { duration, inIndia } from "@/lib/time";

export function ConnectionPart({ account, act }: { account: Account; act: Act }) {
  const [busy, setBusy] = useState(false);
  const state = connectionState(account);

  async function connect(clientId: string): Promise<void> {
    if (busy) return; // and no `disabled`, which would take the focus away
    setBusy(true);
    const answer = await act("/api/dhan/auth", { clientId });
    if (typeof answer?.loginUrl === "string") window.location.assign(answer.loginUrl);
    setBusy(false); // also on success: a browser that comes back here shows the page as it was left
  }

  const known = account.connection?.client_id ?? "";
  return (
    <section aria-labelledby="connection" className="card">
      <div className="head">
        <h2 id="connection">Dhan</h2>
        <ConnectionState account={account} />
      </div>
      <Facts account={account} />
      {state === "connected" ? (
        <div className="actions">
          <button type="button" className={inNeed(account) ? undefined : "quiet"} aria-busy={busy} onClick={() => void connect(known)}>
            Connect again
          </button>
          <Disconnect act={act} />
        </div>
      ) : (
        <ConnectForm known={known} again={state === "expired"} busy={busy} connect={connect}>
          {account.connection?.token_expiry && <Disconnect act={act} />}
        </ConnectForm>
      )}
    </section>
  );
}

/** Whether to ask for a new login although the token has not ended. */
function inNeed(account: Account): boolean {
  return account.token_refused || account.token_doubted || endsSoon(account);
}

export function ConnectionState({ account }: { account: Account }) {
  const state = connectionState(account);
  if (state === "connected") {
    if (account.token_refused) return <span className="badge bad">Refused</span>;
    if (account.token_doubted) return <span className="badge bad">In doubt</span>;
    return endsSoon(account) ? <span className="badge warn">Ends soon</span> : <span className="badge good">Connected</span>;
  }
  if (state === "expired") return <span className="badge bad">Expired</span>;
  return <span className="badge">{state === "connecting" ? "Connecting" : "Not connected"}</span>;
}

/** Always two lines high at least, so that nothing below moves when the state changes. */
function Facts({ account }: { account: Account }) {
  const { connection, now } = account;
  const expiry = connection?.token_expiry ?? "";
  const state = connectionState(account);
  return (
    <div className="facts">
      {state === "connected" ? (
        <>
          <p>{`Connected as ${connection?.client_id}`}</p>
          <p className="soft">{`until ${inIndia(expiry)}, ${duration(Date.parse(expiry) - Date.parse(now))} left`}</p>
        </>
      ) : (
        <p>{withoutConnection(state, expiry)}</p>
      )}
      {state === "connected" && inNeed(account) && <Need account={account} />}
      <Contest account={account} />
    </div>
  );
}

function Need({ account }: { account: Account }) {
  if (account.token_refused) return <p className="bad">{REFUSED}</p>;
  return account.token_doubted ? <p className="bad">{DOUBTED}</p> : <p className="warn">{SOON}</p>;
}

const SOON = "The connection ends soon. Connect again to keep trading.";
/** One account has one user at a time: who has it, or had it, is told who else named it, and when. */
function Contest({ account: { connection, account_contested_at: tried, account_lost_at: lost } }: { account: Account }) {
  if (!connection?.token_expiry) return lost ? <p className="bad">{`Another user connected this Dhan account on ${inIndia(lost)}, so it is yours no more here. ${NOT_YOU}`}</p> : null;
  return tried ? <p className="warn">{`Somebody else tried to connect your Dhan account on ${inIndia(tried)}. ${NOT_YOU}`}</p> : null;
}

const NOT_YOU = "If that was not you, change your password at Dhan.";
const REFUSED = "Dhan no longer accepts this connection, so no order is sent. Connect again.";
const DOUBTED =
  "Dhan may have ended this connection: you logged in there again, and we could not store the new one. Connect again before you trade.";

function withoutConnection(state: State, expiry: string): string {
  switch (state) {
    case "connecting":
      return "Connecting: waiting for you to log in at Dhan. It must be done within ten minutes.";
    case "expired":
      return `Expired on ${inIndia(expiry)}. Dhan's connections last a day: connect again.`;
    case "disconnected":
      return "Disconnected. No token is stored.";
    default:
      return "Never connected. Give your Dhan client id and log in at Dhan.";
  }
}

interface FormProps {
  known: string;
  again: boolean;
  busy: boolean;
  connect: (clientId: string) => Promise<void>;
  children: ReactNode;
}

function ConnectForm({ known, again, busy, connect, children }: FormProps) {
  const [clientId, setClientId] = useState(known);

  function submit(event: FormEvent): void {
    event.preventDefault();
    void connect(clientId);
  }

  return (
    <form onSubmit={submit}>
      <label htmlFor="client-id">Dhan client id</label>
      <input
        id="client-id"
        value={clientId}
        onChange={(event) => setClientId(event.target.value)}
        inputMode="numeric"
        autoComplete="off"
        pattern="\s*[0-9]{4,20}\s*"
        title="4 to 20 digits"
        required
        aria-describedby="client-id-help"
      />
      <p id="client-id-help" className="soft">
        4 to 20 digits, in your Dhan profile.
      </p>
      <div className="actions">
        <button type="submit" aria-busy={busy}>
          {again ? "Connect again" : "Connect"}
        </button>
        {children}
      </div>
    </form>
  );
}

function Disconnect({ act }: { act: Act }) {
  return (
    <button type="button" className="quiet" onClick={() => void act("/api/dhan/disconnect", {})}>
      Disconnect and delete the token
    </button>
  );
}
