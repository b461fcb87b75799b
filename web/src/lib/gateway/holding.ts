// What a position is worth and what guards it, from the day as the gateway tells it. Pure; amounts in paise.
import type { Day } from "@/lib/gateway/day";
import type { ObservedOrder, OrderStatus, Position } from "@/lib/messages";

/** Average price of the side that is open, to the nearest paisa. */
export function averageOf({ net, bought, bought_value, sold, sold_value }: Position): number {
  return Math.round(net > 0 ? bought_value / bought : sold_value / sold);
}

/** Profit or loss of what is open at `last`, before charges, as the gateway counts it. */
export function openProfit({ net, bought_value, sold_value, realised }: Position, last: number): number {
  return sold_value - bought_value + net * last - realised;
}

const RESTING: readonly OrderStatus[] = ["TRANSIT", "PENDING", "TRIGGERED", "PART_TRADED"];

/** The trigger of the stop and the limit of the target that rest at the broker; null where none is seen. */
export function exitsOf(position: Position, day: Day): { stop: number | null; target: number | null } {
  const resting = day.own.broker_orders.filter(({ instrument, status }) => instrument === position.instrument && RESTING.includes(status));
  const closing = resting.filter(({ side }) => (position.net > 0 ? side === "SELL" : side === "BUY"));
  const stop = closing.findLast((order) => order.leg === "stop_loss" || (order.leg === "entry" && triggerOf(order) > 0));
  const target = closing.findLast((order) => order.leg === "target");
  return { stop: (stop && triggerOf(stop)) || null, target: target?.price || null };
}

function triggerOf({ trigger = 0, price = 0, leg }: ObservedOrder): number {
  return trigger || (leg === "stop_loss" ? price : 0);
}

/** The share's name, or its number where nobody named it. */
export function symbolOf(instrument: string, day: Day): string {
  return day.market.symbols[instrument] ?? day.own.orders.find(({ intent }) => intent.instrument === instrument)?.intent.symbol ?? instrument;
}
