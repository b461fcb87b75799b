// What one user may do at most, for an operator: the ceiling, the user's choice, and what holds of both.
"use client";
import { WhenOpen } from "@/app/when-open";
import type { Limits } from "@/lib/account";
import { inWords, LIMITS, NAMES } from "@/lib/limits";

interface Told {
  /** Null where neither an operator nor the user set any. */
  readonly limits: { readonly ceiling: Limits | null; readonly own: Limits | null; readonly held: Limits } | null;
}

export function LimitsOf({ user }: { user: string }) {
  return (
    <WhenOpen<Told> summary="Limits" path={`/api/operator/limits?user=${user}`} version={user}>
      {({ limits }) => (limits === null ? <p className="soft">Neither you nor the user set any: the platform’s hold.</p> : <LimitsTable {...limits} />)}
    </WhenOpen>
  );
}

function LimitsTable({ ceiling, own, held }: NonNullable<Told["limits"]>) {
  const set = NAMES.filter((name) => (ceiling?.[name] ?? own?.[name] ?? null) !== null);
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Limits of the user">
      <table>
        <thead>
          <tr>
            <th scope="col">Limit</th>
            <th scope="col">Ceiling</th>
            <th scope="col">User’s choice</th>
            <th scope="col">Holds</th>
          </tr>
        </thead>
        <tbody>
          {set.map((name) => (
            <tr key={name}>
              <th scope="row">{LIMITS[name]}</th>
              {[ceiling, own, held].map((row, at) => (
                <td key={["ceiling", "own", "held"][at]}>{row === null || row[name] === null ? "–" : inWords(name, row[name])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
