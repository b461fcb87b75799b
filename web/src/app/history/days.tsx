// How the account went: a curve, the same as a table, and each day's shares and fills behind it.
import { Side } from "@/app/side";
import { toneOf } from "@/app/today/result";
import type { DayResult } from "@/lib/history";
import { price, rupees, signedRupees } from "@/lib/money";
import { clock, dayInWords } from "@/lib/time";

export function DaysPart({ days, cut }: { days: readonly DayResult[]; cut: boolean }) {
  const total = days.reduce((sum, { net }) => sum + net, 0);
  const newest = days.toReversed();
  return (
    <>
      <section aria-labelledby="equity" className="card">
        <div className="head">
          <h2 id="equity">Equity</h2>
          {days.length > 0 && <span className={toneOf(total)}>{signedRupees(total)}</span>}
        </div>
        {days.length === 0 ? <p className="soft">No day was traded yet. Each day that was appears here with what it earned.</p> : <Curve days={days} total={total} />}
        {cut && <p className="soft">The newest thousand rows are shown. `ats report` has all.</p>}
      </section>
      {days.length > 0 && (
        <section aria-labelledby="days" className="card">
          <div className="head">
            <h2 id="days">Days</h2>
            <span className="soft">{days.length}</span>
          </div>
          <ul className="rows days">
            {newest.map((day) => (
              <DayRow key={day.day} day={day} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

const WIDTH = 640;
const HEIGHT = 180;
const EDGE = 8;

/** What was earned in all, after each day; the line at nought is where it began. */
function Curve({ days, total }: { days: readonly DayResult[]; total: number }) {
  const heights = days.reduce<number[]>((sums, { net }) => [...sums, (sums.at(-1) ?? 0) + net], [0]);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const x = (i: number): number => EDGE + (i / Math.max(1, heights.length - 1)) * (WIDTH - 2 * EDGE);
  const y = (paise: number): number => HEIGHT - EDGE - ((paise - low) / Math.max(1, high - low)) * (HEIGHT - 2 * EDGE);
  const line = heights.map((paise, i) => `${x(i).toFixed(1)},${y(paise).toFixed(1)}`).join(" ");
  const first = days[0]?.day ?? "";
  const last = days.at(-1)?.day ?? "";
  return (
    <figure className="curve">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`From ${dayInWords(first)} to ${dayInWords(last)}: ${signedRupees(total)}, lowest ${signedRupees(low)}, highest ${signedRupees(high)}. Each day is in the list below.`}>
        <line className="nought" x1={EDGE} x2={WIDTH - EDGE} y1={y(0)} y2={y(0)} />
        <polygon className={total < 0 ? "area bad" : "area good"} points={`${x(0)},${y(0)} ${line} ${x(heights.length - 1)},${y(0)}`} />
        <polyline className={total < 0 ? "line bad" : "line good"} points={line} />
        <circle className={total < 0 ? "dot bad" : "dot good"} cx={x(heights.length - 1)} cy={y(total)} r="4" />
      </svg>
      <figcaption className="soft">
        <span>{dayInWords(first)}</span>
        <span>{`lowest ${signedRupees(low)}, highest ${signedRupees(high)}`}</span>
        <span>{dayInWords(last)}</span>
      </figcaption>
    </figure>
  );
}

function DayRow({ day: { day, net, realised, charges, positions, trades } }: { day: DayResult }) {
  return (
    <li>
      <details>
        <summary>
          <span>{dayInWords(day)}</span>
          <span className={`amount ${toneOf(net)}`}>{signedRupees(net)}</span>
        </summary>
        <p className="soft">
          {`${signedRupees(realised)} closed, ${charges === null ? "charges not all known" : `${rupees(charges)} charges`}, ${counted(positions.length, "share")}, ${counted(trades.length, "fill")}.`}
        </p>
        <Shares positions={positions} />
        {trades.length > 0 && <Fills trades={trades} />}
      </details>
    </li>
  );
}

function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function Shares({ positions }: Pick<DayResult, "positions">) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Shares of the day">
      <table>
        <thead>
          <tr>
            <th scope="col">Share</th>
            <th scope="col">Bought</th>
            <th scope="col">Sold</th>
            <th scope="col">Closed</th>
            <th scope="col">Charges</th>
            <th scope="col">By</th>
          </tr>
        </thead>
        <tbody>
          {positions.map((one) => (
            <tr key={one.instrument}>
              <th scope="row">{one.symbol || one.instrument}</th>
              <td>{one.bought}</td>
              <td>{one.sold}</td>
              <td className={toneOf(one.realised_paise)}>{signedRupees(one.realised_paise)}</td>
              <td>{one.charges_paise === null ? "–" : rupees(one.charges_paise)}</td>
              <td>{one.closed_by === null ? (one.net === 0 ? "–" : "open") : closedBy(one.closed_by)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function closedBy(code: string): string {
  return code.replaceAll("_", " ");
}

function Fills({ trades }: Pick<DayResult, "trades">) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Fills of the day">
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Share</th>
            <th scope="col">Side</th>
            <th scope="col">Quantity</th>
            <th scope="col">Price</th>
          </tr>
        </thead>
        <tbody>
          {trades.map((one) => (
            <tr key={`${one.dhan_order_id} ${one.trade_id}`}>
              <td>{one.traded_at === null ? "–" : clock(one.traded_at)}</td>
              <th scope="row">{one.symbol || one.instrument}</th>
              <td>
                <Side side={one.side} />
              </td>
              <td>{one.quantity}</td>
              <td>{price(one.price_paise)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
