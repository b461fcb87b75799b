// Own orders, newest first, each with the decision that caused it; between them what was not followed.
import { Side } from "@/app/side";
import type { Denials, Order } from "@/lib/account";
import { clock, inIndia } from "@/lib/time";
import { failureInWords } from "@/lib/words";

interface Props {
  orders: readonly Order[];
  denials: readonly Denials[];
}

export function FollowedPart({ orders, denials }: Props) {
  const rows = [
    ...orders.map((order) => ({ at: order.market_time, row: <OrderRow key={order.id} order={order} /> })),
    ...denials.map((denied) => ({
      at: denied.market_time,
      row: <DenialsRow key={`${denied.day} ${denied.code}`} denials={denied} />,
    })),
  ].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  return (
    <section aria-labelledby="orders" className="card">
      <div className="head">
        <h2 id="orders">Your orders</h2>
        {rows.length > 0 && <span className="soft">Market time</span>}
      </div>
      {rows.length === 0 ? <p className="soft">None yet. What was ordered for you, and what was not, appears here with its reason.</p> : <ul className="orders">{rows.map(({ row }) => row)}</ul>}
    </section>
  );
}

function OrderRow({ order }: { order: Order }) {
  return (
    <li>
      <h3>
        <Side side={order.action} /> {order.symbol}
      </h3>
      <time dateTime={order.market_time}>{inIndia(order.market_time)}</time>
      <p className={order.status === "SUCCESS" ? "outcome good" : "outcome bad"}>{outcomeInWords(order)}</p>
      <p className="soft">{order.reasoning}</p>
    </li>
  );
}

function DenialsRow({ denials }: { denials: Denials }) {
  const { count, decisions, market_time: at, reason } = denials;
  const [newest] = decisions;
  return (
    <li>
      {count === 1 && newest ? (
        <h3>
          <Side side={newest.action} /> {newest.symbol}
        </h3>
      ) : (
        <h3>{count} decisions not followed</h3>
      )}
      <time dateTime={at}>{inIndia(at)}</time>
      <p className="outcome none">
        {count === 1 && "Not followed. "}
        {failureInWords(reason)}
      </p>
      {count > 1 && (
        <details>
          <summary>{count > decisions.length ? `The latest ${decisions.length}` : "Which ones"}</summary>
          <ul>
            {decisions.map((one) => (
              <li key={one.decision_id}>
                <time dateTime={one.market_time}>{clock(one.market_time)}</time>
                <span>
                  <Side side={one.action} /> {one.symbol}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}

function outcomeInWords({ status, dhan_order_id, failure_reason, corrected_at }: Order): string {
  const outcome =
    status === "SUCCESS"
      ? `Accepted by the broker, order ${dhan_order_id}.`
      : `No order: ${failureInWords(failure_reason ?? "")}`;
  return corrected_at === null ? outcome : `${outcome} Corrected: it was recorded otherwise first.`;
}
