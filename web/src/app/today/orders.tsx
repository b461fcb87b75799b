// What the day's decisions asked for, newest first: quantity, price, and how each order stands at the broker.
"use client";
import Link from "next/link";
import { Outcome } from "@/app/outcome";
import { Skeleton } from "@/app/today/result";
import { Side } from "@/app/side";
import type { Day } from "@/lib/gateway/day";
import { approvalInWords, type OrderState, stateOf } from "@/lib/gateway/order";
import { isWaiting, type Live } from "@/lib/gateway/stream";
import type { OwnOrder } from "@/lib/gateway/views";
import type { Decision } from "@/lib/messages";
import { price } from "@/lib/money";
import { momentOf, seconds } from "@/lib/time";

export function OrdersPart({ live }: { live: Live }) {
  const { day } = live;
  const waiting = isWaiting(live);
  const orders = day?.own.orders ?? [];
  const active = day !== null && day.own.session?.active !== false; // who is not would have no order
  const asked = active ? askedOf(day).filter(({ decision: { id } }) => orders.every(({ intent }) => intent.decision_id !== id)) : [];
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
      {day !== null && orders.length === 0 && asked.length === 0 && <p className="soft">None yet. They appear here by themselves.</p>}
      <div aria-live="polite" aria-relevant="additions">
        {day !== null && orders.length + asked.length > 0 && (
          <ul className="rows">
            {asked.toReversed().map((each) => (
              <AskedRow key={each.decision.id} asked={each} />
            ))}
            {orders.toReversed().map((order) => (
              <OrderRow key={order.intent.id} order={order} day={day} />
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

interface Asked {
  readonly decision: Decision;
  readonly state: OrderState;
}

/** Decisions of which nobody has an order yet: they wait for the operator, or had no yes. */
function askedOf({ market: { approvals, decisions } }: Day): Asked[] {
  return approvals.flatMap(({ decision_id: id, approval }) => {
    const decision = decisions.find((each) => each.id === id);
    const state = approvalInWords(approval);
    return decision === undefined || state === null ? [] : [{ decision, state }];
  });
}

function AskedRow({ asked: { decision, state } }: { asked: Asked }) {
  return (
    <li>
      <h3>
        <Side side={decision.action} /> {decision.symbol} <span className="soft">at about {price(decision.reference_price)}</span>
      </h3>
      <time dateTime={momentOf(decision.event_time)}>{seconds(decision.event_time)}</time>
      <Outcome state={state} />
    </li>
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
