// Own orders, newest first, each with the decision that caused it.
import type { Order } from "@/lib/account";
import { inIndia } from "@/lib/time";
import { failureInWords } from "@/lib/words";

export function OrdersPart({ orders }: { orders: readonly Order[] }) {
  return (
    <section aria-labelledby="orders">
      <h2 id="orders">Your orders</h2>
      {orders.length === 0 ? (
        <p>None yet. They appear here by themselves.</p>
      ) : (
        <ul className="orders" aria-live="polite" aria-relevant="additions">
          {orders.map((order) => (
            <li key={order.id}>
              <h3>
                {order.action} {order.symbol} <time dateTime={order.recorded_at}>{inIndia(order.recorded_at)}</time>
              </h3>
              <p className={order.status === "SUCCESS" ? "good" : "bad"}>{outcomeInWords(order)}</p>
              <p className="help">{order.reasoning}</p>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function outcomeInWords({ status, dhan_order_id, failure_reason }: Order): string {
  if (status === "SUCCESS") return `Accepted by the broker, order ${dhan_order_id}.`;
  return `No order: ${failureInWords(failure_reason ?? "")}`;
}
