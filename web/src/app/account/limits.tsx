// The user's own limits, and a way to tighten one. Only the operator widens one again.
"use client";
import { type FormEvent, useState } from "react";
import type { Act } from "@/app/account/use-account";
import type { Account } from "@/lib/account";
import { holding, inRupees, isLeast, LIMITS, NAMES } from "@/lib/limits";
import { grouped } from "@/lib/money";

export function LimitsPart({ account, act }: { account: Account; act: Act }) {
  const { limits, platform } = account;
  const shown = NAMES.map((name) => ({ name, value: holding(name, limits, platform) })).filter(({ value }) => value !== null);
  return (
    <section aria-labelledby="limits" className="card">
      <div className="head">
        <h2 id="limits">Your limits</h2>
      </div>
      <dl className="limits" aria-live="polite">
        {shown.map(({ name, value }) => (
          <div key={name}>
            <dt className="soft">{LIMITS[name]}</dt>
            <dd>{inRupees(name) ? rupees(value ?? 0) : `${isLeast(name) ? "at least" : "at most"} ${value}`}</dd>
          </div>
        ))}
        {limits?.long_only && <Fact what="Short sales" holds="none" />}
        {limits?.segments && <Fact what="Segments" holds={limits.segments.join(", ") || "none"} />}
        {limits?.products && <Fact what="Products" holds={limits.products.join(", ") || "none"} />}
      </dl>
      <details>
        <summary>Tighten a limit</summary>
        <TightenForm act={act} />
      </details>
    </section>
  );
}

function Fact({ what, holds }: { what: string; holds: string }) {
  return (
    <div>
      <dt className="soft">{what}</dt>
      <dd>{holds}</dd>
    </div>
  );
}

function TightenForm({ act }: { act: Act }) {
  const [name, setName] = useState(NAMES[0]);
  const [value, setValue] = useState("");
  const [busy, setBusy] = useState(false);

  async function tighten(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy || name === undefined) return; // and no `disabled`, which would take the focus away
    setBusy(true);
    if (await act("/api/account/limits", { name, value })) setValue("");
    setBusy(false);
  }

  return (
    <form onSubmit={(event) => void tighten(event)}>
      <label htmlFor="limit">Limit</label>
      <select id="limit" value={name} onChange={(event) => setName(NAMES[event.target.selectedIndex])}>
        {NAMES.map((each) => (
          <option key={each} value={each}>
            {LIMITS[each]}
            {inRupees(each) && " (₹)"}
          </option>
        ))}
      </select>
      <label htmlFor="limit-value">{name !== undefined && isLeast(name) ? "At least" : "At most"}</label>
      <input id="limit-value" inputMode="decimal" required value={value} onChange={(event) => setValue(event.target.value)} />
      {name === "max_daily_loss_paise" && (
        <p className="warn">At this loss Dhan itself also closes every intraday position of your account, those you bought by hand too.</p>
      )}
      <p className="soft">It holds within a second. Only the operator can widen it again.</p>
      <div className="actions">
        <button type="submit" aria-busy={busy}>
          Tighten
        </button>
      </div>
    </form>
  );
}

function rupees(paise: number): string {
  const rest = paise % 100;
  return `at most ₹${grouped(Math.floor(paise / 100))}${rest ? `.${String(rest).padStart(2, "0")}` : ""}`;
}
