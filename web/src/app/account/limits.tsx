// The user's limits: what holds, how far the operator lets them go, and their own choice, tightened at once and widened after
// a question.
"use client";
import { useRef } from "react";
import { LimitChanges } from "@/app/account/limit-changes";
import { LimitForm } from "@/app/account/limit-form";
import type { Act } from "@/app/account/use-account";
import type { Account } from "@/lib/account";
import { ceilingInWords, heldInWords, inWords, LIMITS, type Name, NAMES, setBy, type Standing, standing } from "@/lib/limits";

export function LimitsPart({ account, act }: { account: Account; act: Act }) {
  const version = JSON.stringify([account.limits_own, account.limits_ceiling]);
  return (
    <section aria-labelledby="limits" className="card">
      <div className="head">
        <h2 id="limits">Your limits</h2>
      </div>
      <p className="soft">Of your own choice and the operator’s ceiling the tighter holds. What you tighten holds within a second.</p>
      <ul className="rows days limits">
        {NAMES.map((name) => (
          <LimitRow key={name} name={name} standing={standing(name, account)} act={act} />
        ))}
      </ul>
      <LimitChanges version={version} />
    </section>
  );
}

function LimitRow({ name, standing: now, act }: { name: Name; standing: Standing; act: Act }) {
  const row = useRef<HTMLElement>(null);
  return (
    <li>
      <details>
        <summary ref={row}>
          <span>{LIMITS[name]}</span>
          <span className="amount">{heldInWords(name, now.holds)}</span>
          <span className="soft">{whoseInWords(name, now)}</span>
        </summary>
        {/* Drawn anew when what holds has changed: what stands in the form was meant for what held before. */}
        <LimitForm key={JSON.stringify(now)} name={name} standing={now} act={act} done={() => row.current?.focus()} />
      </details>
    </li>
  );
}

/** Whose limit it is, and how far it goes. */
function whoseInWords(name: Name, now: Standing): string {
  if (now.own === null || now.own === false) return setBy(now) ?? "nobody set one";
  const held = JSON.stringify(now.own) === JSON.stringify(now.holds);
  return [held ? "your choice" : `your choice: ${inWords(name, now.own)}`, ceilingInWords(name, now)].filter((each) => each !== null).join("; ");
}
