// Own orders, newest first, each with the decision that caused it.
import type { Order } from "@/lib/account";
import { inIndia } from "@/lib/time";
import { failureInWords } from "@/lib/words";

export function OrdersPart({ orders }: { orders: readonly Order[] }) {
  return (
    <section aria-labelledby="orders" className="card">
      <h2 id="orders">Your orders</h2>
      <div aria-live="polite" aria-relevant="additions">
        {orders.length === 0 ? (
          <p className="soft">None yet. They appear here by themselves.</p>
        ) : (
          <ul className="orders">
            {orders.map((order) => (
              <OrderRow key={order.id} order={order} />
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

function OrderRow({ order }: { order: Order }) {
  const { action, symbol, recorded_at: at, status, reasoning } = order;
  return (
    <li>
      <h3>
        <span className={`side ${action.toLowerCase()}`}>{action}</span> {symbol}
      </h3>
      <time dateTime={at}>{inIndia(at)}</time>
      <p className={status === "SUCCESS" ? "outcome good" : "outcome bad"}>{outcomeInWords(order)}</p>
      <p className="soft">{reasoning}</p>
    </li>
  );
}

function outcomeInWords({ status, dhan_order_id, failure_reason }: Order): string {
  if (status === "SUCCESS") return `Accepted by the broker, order ${dhan_order_id}.`;
  return `No order: ${failureInWords(failure_reason ?? "")}`;
}
