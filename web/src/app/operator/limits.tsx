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
  const columns = [
    ["Ceiling", ceiling],
    ["User’s choice", own],
    ["Holds", held],
  ] as const;
  return (
    <table className="carded">
      <caption className="unseen">Limits of the user</caption>
      <thead>
        <tr>
          <th scope="col">Limit</th>
          {columns.map(([title]) => (
            <th key={title} scope="col">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {set.map((name) => (
          <tr key={name}>
            <th scope="row">{LIMITS[name]}</th>
            {columns.map(([title, row]) => (
              <td key={title} data-name={title}>
                {row === null || row[name] === null ? "–" : inWords(name, row[name])}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
