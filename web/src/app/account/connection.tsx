// The Dhan account: its state in words, connect, reconnect before the token ends, disconnect.
"use client";
import { type FormEvent, useState } from "react";
import type { Act } from "@/app/account/view";
import { type Account, connectionState, endsSoon } from "@/lib/account";
import { duration, inIndia } from "@/lib/time";

export function ConnectionPart({ account, act }: { account: Account; act: Act }) {
  const state = connectionState(account);
  return (
    <section aria-labelledby="connection">
      <h2 id="connection">Dhan</h2>
      <p className="state">{stateInWords(account)}</p>
      {state === "connected" && account.token_doubted && <p className="notice bad">{DOUBTED}</p>}
      {endsSoon(account) && <p className="notice bad">The connection ends soon. Connect again to keep trading.</p>}
      <ConnectForm known={account.connection?.client_id ?? ""} again={state === "connected" || state === "expired"} act={act} />
      {account.connection?.token_expiry && (
        <button type="button" className="quiet" onClick={() => void act("/api/dhan/disconnect", {})}>
          Disconnect and delete the token
        </button>
      )}
    </section>
  );
}

const DOUBTED =
  "Dhan may have ended this connection: you logged in there again, and we could not store the new one. Connect again before you trade.";

function stateInWords(account: Account): string {
  const { connection, now } = account;
  const expiry = connection?.token_expiry ?? "";
  switch (connectionState(account)) {
    case "never":
      return "Never connected. Give your Dhan client id and log in at Dhan.";
    case "connecting":
      return "Connecting: waiting for you to log in at Dhan. It must be done within ten minutes.";
    case "connected":
      return `Connected as ${connection?.client_id}, until ${inIndia(expiry)} (${duration(Date.parse(expiry) - Date.parse(now))} left).`;
    case "expired":
      return `Expired on ${inIndia(expiry)}. Dhan's connections last a day: connect again.`;
    case "disconnected":
      return "Disconnected. No token is stored.";
  }
}

function ConnectForm({ known, again, act }: { known: string; again: boolean; act: Act }) {
  const [clientId, setClientId] = useState(known);
  const [busy, setBusy] = useState(false);

  async function connect(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    const answer = await act("/api/dhan/auth", { clientId });
    if (typeof answer?.loginUrl === "string") window.location.assign(answer.loginUrl);
    setBusy(false); // also on success: a browser that comes back here shows the page as it was left
  }

  return (
    <form onSubmit={(event) => void connect(event)}>
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
      <p id="client-id-help" className="help">
        4 to 20 digits, in your Dhan profile.
      </p>
      <button type="submit" disabled={busy}>
        {again ? "Connect again" : "Connect"}
      </button>
    </form>
  );
}
