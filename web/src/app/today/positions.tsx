// What is open, at the last price: profit, and how far the stop and the target are.
"use client";
import { Skeleton, toneOf } from "@/app/today/result";
import { Side } from "@/app/side";
import type { Day } from "@/lib/gateway/day";
import { isWaiting, type Live } from "@/lib/gateway/stream";
import { exitsOf, openProfit, averageOf, symbolOf } from "@/lib/gateway/holding";
import type { Position } from "@/lib/messages";
import { percentOf, price, signedRupees } from "@/lib/money";

export function PositionsPart({ live }: { live: Live }) {
  const { day } = live;
  const open = day?.own.positions.filter(({ net }) => net !== 0) ?? [];
  const waiting = isWaiting(live);
  return (
    <section aria-labelledby="positions" aria-busy={waiting} className="card">
      <div className="head">
        <h2 id="positions">Open positions</h2>
        {open.length > 0 && <span className="soft">{open.length}</span>}
      </div>
      {waiting && (
        <p>
          <Skeleton />
        </p>
      )}
      {day === null && !waiting && <p className="soft">Not known while live figures do not arrive.</p>}
      {day !== null && open.length === 0 && <p className="soft">Nothing is open.</p>}
      {day !== null && open.length > 0 && (
        <ul className="rows">
          {open.map((position) => (
            <PositionRow key={position.instrument} position={position} day={day} />
          ))}
        </ul>
      )}
    </section>
  );
}

function PositionRow({ position, day }: { position: Position; day: Day }) {
  const last = day.prices[position.instrument]?.price ?? null;
  const average = averageOf(position);
  const { stop, target } = exitsOf(position, day);
  const profit = last === null ? null : openProfit(position, last);
  const long = position.net > 0;
  const unguarded = position.resting_stop < Math.abs(position.net);
  return (
    <li>
      <h3>
        <Side side={long ? "BUY" : "SELL"} /> {symbolOf(position.instrument, day)} <span className="soft">{Math.abs(position.net)}</span>
      </h3>
      <p className={`amount ${toneOf(profit)}`}>{profit === null ? "–" : signedRupees(profit)}</p>
      {stop !== null && target !== null && last !== null && <Track stop={stop} target={target} last={last} average={average} />}
      <dl className="parts">
        <Fact name="Average" value={price(average)} />
        <Fact name="Last" value={last === null ? "–" : price(last)} note={last === null ? "" : percentOf(last - average, average)} />
        <Fact name="Stop" value={stop === null ? "–" : price(stop)} note={stop === null || last === null ? "" : percentOf(stop - last, last)} />
        <Fact name="Target" value={target === null ? "–" : price(target)} note={target === null || last === null ? "" : percentOf(target - last, last)} />
      </dl>
      {unguarded && <p className="warn">No stop rests at the broker for all of it yet.</p>}
      {position.agrees === false && <p className="warn">Dhan shows another quantity. It is being looked into.</p>}
    </li>
  );
}

function Fact({ name, value, note = "" }: { name: string; value: string; note?: string }) {
  return (
    <div>
      <dt className="soft">{name}</dt>
      <dd>
        {value} {note && <span className="note">{note}</span>}
      </dd>
    </div>
  );
}

/** From the stop, left, to the target, right: where it was bought or sold, and where the price is. */
function Track({ stop, target, last, average }: { stop: number; target: number; last: number; average: number }) {
  const at = (paise: number): number => 4 + 92 * Math.min(1, Math.max(0, (paise - stop) / (target - stop)));
  const gain = (last - average) * Math.sign(target - stop) >= 0;
  return (
    <svg className="track-line" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      <line className="whole" x1="4" x2="96" y1="5" y2="5" />
      <line className={gain ? "gain" : "loss"} x1={at(average)} x2={at(last)} y1="5" y2="5" />
      <line className="end" x1="4" x2="4" y1="1" y2="9" />
      <line className="end" x1="96" x2="96" y1="1" y2="9" />
      <line className="now" x1={at(last)} x2={at(last)} y1="0" y2="10" />
    </svg>
  );
}
