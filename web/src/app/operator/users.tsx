// Every user: in trouble first, or sorted by a column; on a phone a card each.
"use client";
import { useState } from "react";
import type { Target } from "@/app/operator/deed";
import type { Console, OperatedUser, TradingState } from "@/lib/gateway/views";
import { rupees, signedRupees } from "@/lib/money";
import { nameOf, type Order, sorted, tokenLeft } from "@/lib/operator";
import { redInWords } from "@/lib/words";

const MOST_SHOWN = 200; // rows; who is not among them is found by name
const COLUMNS: readonly { readonly name: string; readonly order: Order | null }[] = [
  { name: "User", order: "name" },
  { name: "State", order: "trouble" },
  { name: "Preflight", order: null },
  { name: "Profit", order: "profit" },
  { name: "Exposure", order: "exposure" },
  { name: "Held", order: null },
  { name: "Unprotected", order: "unprotected" },
];

export function UsersPart({ told, ask }: { told: Console | null; ask: (target: Target) => void }) {
  const [order, setOrder] = useState<Order>("trouble");
  const [sought, setSought] = useState("");
  const users = sorted(told?.users ?? [], order, sought);
  const shown = users.slice(0, MOST_SHOWN);
  return (
    <section aria-labelledby="users" className="card">
      <div className="head">
        <h2 id="users">Users</h2>
        <span className="soft">{shown.length < users.length ? `${shown.length} of ${users.length}` : users.length}</span>
      </div>
      <div className="finding">
        <div>
          <label htmlFor="sought">Find</label>
          <input id="sought" type="search" placeholder="Address, Dhan account or id" value={sought} onChange={(event) => setSought(event.target.value)} />
        </div>
        <div>
          <label htmlFor="order">Sorted by</label>
          <select id="order" value={order} onChange={(event) => setOrder(event.target.value as Order)}>
            <option value="trouble">Trouble</option>
            <option value="name">Name</option>
            <option value="profit">Loss</option>
            <option value="exposure">Exposure</option>
            <option value="unprotected">Time unprotected</option>
          </select>
        </div>
      </div>
      {shown.length === 0 ? (
        <p className="soft facts">{told === null ? "Users are told in a moment." : sought ? "Nobody matches." : "Nobody has connected Dhan, and the topics told of nobody."}</p>
      ) : (
        <table className="users">
          <thead>
            <tr>
              {COLUMNS.map(({ name, order: by }) => (
                <th key={name} scope="col" aria-sort={by === order ? (by === "name" ? "ascending" : "descending") : undefined}>
                  {by === null ? (
                    name
                  ) : (
                    <button type="button" className="plain" onClick={() => setOrder(by)}>
                      {name}
                      {by === order && <span aria-hidden="true"> ▾</span>}
                    </button>
                  )}
                </th>
              ))}
              <th scope="col">
                <span className="unseen">Act</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((user) => (
              <UserRow key={user.user_id} user={user} now={told?.at ?? 0} ask={ask} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function UserRow({ user, now, ask }: { user: OperatedUser; now: number; ask: (target: Target) => void }) {
  const { account, day, state } = user;
  const profit = day?.result.after_charges ?? null;
  return (
    <tr className={day?.unprotected_now ? "alarm" : undefined}>
      <th scope="row">
        <Address of={nameOf(user)} />
        <span className="note">{account?.dhan_client_id ?? "not in the database"}</span>
        {account && <span className="note">{tokenLeft(account.token_until, now)}</span>}
      </th>
      <td data-name="State">
        <StateBadge state={state} />
        <span className="note">{account === null ? "" : account.switched_on ? "switch on" : "switch off"}</span>
      </td>
      <td data-name="Preflight">
        <Preflight user={user} />
      </td>
      <td data-name="Profit" className={profit === null || profit === 0 ? undefined : profit < 0 ? "bad" : "good"}>
        {profit === null ? "–" : signedRupees(profit)}
      </td>
      <td data-name="Exposure">{day === null ? "–" : rupees(day.exposure)}</td>
      <td data-name="Held">{day === null ? "–" : day.positions}</td>
      <td data-name="Unprotected" className={day?.unprotected_now ? "bad" : undefined}>
        {day === null ? "–" : `${day.unprotected_seconds.toFixed(1)} s${day.unprotected_now ? " now" : ""}`}
      </td>
      <td className="act">
        <button type="button" className="quiet" aria-label={`Act on ${nameOf(user)}`} onClick={() => ask({ user: user.user_id, name: nameOf(user), state })}>
          Act
        </button>
      </td>
    </tr>
  );
}

/** An address that breaks before its @ where it is too long for a line. */
function Address({ of }: { of: string }) {
  const [name, ...host] = of.split(/(?=@)/);
  return (
    <>
      {name}
      <wbr />
      {host}
    </>
  );
}

function Preflight({ user: { day } }: { user: OperatedUser }) {
  if (day === null || day.green === null) return <>–</>;
  if (day.green) return <span className="good">green</span>;
  return (
    <span className="bad">
      red
      <span className="note">{day.reds.map(redInWords).join(" ")}</span>
    </span>
  );
}

const TONES: Readonly<Record<TradingState, string>> = { ACTIVE: "good", REDUCING: "warn", HALTED: "bad" };

export function StateBadge({ state }: { state: TradingState | null }) {
  return <span className={state === null ? "badge" : `badge ${TONES[state]}`}>{state ?? "unknown"}</span>;
}
