// What the day's decisions asked for, newest first: quantity, price, and how each order stands at the broker.
"use client";
import Link from "next/link";
import { Outcome } from "@/app/outcome";
import { Skeleton } from "@/app/today/result";
import { Side } from "@/app/side";
import type { Day } from "@/lib/gateway/day";
import { stateOf } from "@/lib/gateway/order";
import { isWaiting, type Live } from "@/lib/gateway/stream";
import type { OwnOrder } from "@/lib/gateway/views";
import { price } from "@/lib/money";
import { momentOf, seconds } from "@/lib/time";

export function OrdersPart({ live }: { live: Live }) {
  const { day } = live;
  const waiting = isWaiting(live);
  const orders = day?.own.orders ?? [];
  return (
    <section aria-labelledby="orders" aria-busy={waiting} className="card">
      <div className="head">
        <h2 id="orders">Orders of the day</h2>
        {orders.length > 0 && <span className="soft">{orders.length}</span>}
      </div>
      {waiting && (
        <p>
          <Skeleton />
        </p>
      )}
      {day === null && !waiting && <p className="soft">Not known while live figures do not arrive.</p>}
      {day !== null && orders.length === 0 && <p className="soft">None yet. They appear here by themselves.</p>}
      <div aria-live="polite" aria-relevant="additions">
        {day !== null && orders.length > 0 && (
          <ul className="rows">
            {orders.toReversed().map((order) => (
              <OrderRow key={order.intent.id} order={order} day={day} />
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

function OrderRow({ order, day }: { order: OwnOrder; day: Day }) {
  const { intent } = order;
  return (
    <li>
      <h3>
        <Side side={intent.side} /> {intent.symbol}{" "}
        <span className="soft">
          {intent.quantity} at {price(intent.price)}
        </span>
      </h3>
      <time dateTime={momentOf(intent.event_time)}>{seconds(intent.event_time)}</time>
      <Outcome state={stateOf(order, day.own.broker_orders)} />
      <p>
        <Link href={`/why/${intent.id}`} prefetch={false}>
          Why<span className="unseen"> {intent.symbol} was ordered</span>
        </Link>
      </p>
    </li>
  );
}
