// What became of the user's limits: when, by whom, from what to what.
"use client";
import { WhenOpen } from "@/app/when-open";
import { inWords, isName, LIMITS, type Value } from "@/lib/limits";
import { inIndia } from "@/lib/time";

interface Change {
  readonly at: string;
  readonly own: boolean;
  /** By limit, what it was and what it became. */
  readonly changed: Readonly<Record<string, readonly [Value, Value]>>;
}

/** `version` differs when a limit has changed. */
export function LimitChanges({ version }: { version: string }) {
  return (
    <WhenOpen<{ readonly changes: readonly Change[] }> summary="Changes of your limits" path="/api/account/limits" version={version}>
      {({ changes }) => <Changes changes={changes.filter(({ changed }) => Object.keys(changed).some(isName))} />}
    </WhenOpen>
  );
}

function Changes({ changes }: { changes: readonly Change[] }) {
  if (changes.length === 0) return <p className="soft">Nobody has changed them.</p>;
  return (
    <ul className="rows">
      {changes.map(({ at, own, changed }) => (
        <li key={at}>
          <h3>
            {own ? "You" : "The operator"} <span className="soft">{inIndia(at)}</span>
          </h3>
          <ul className="changes">
            {Object.entries(changed).map(([name, [before, after]]) => isName(name) && <li key={name}>{`${LIMITS[name]}: ${inWords(name, before)} → ${inWords(name, after)}`}</li>)}
          </ul>
        </li>
      ))}
    </ul>
  );
}
