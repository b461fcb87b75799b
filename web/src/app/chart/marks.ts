// What happened on a chart: signals, orders, fills and exits, each at its bar. Pure.
import { failureInWords } from "@/lib/words";
import { grouped, price, rupees } from "@/lib/money";
import type { ExitOrder, ExitReason, Signal, Trade } from "@/lib/messages";
import { labelInWords, labelWithin, measured } from "@/lib/thinking";
import type { Bar, OwnMarks, OwnOrder } from "@/lib/gateway/views";

export type Kind = "signal" | "order" | "fill" | "exit";

export interface Mark {
  readonly id: string;
  readonly kind: Kind;
  /** UTC nanoseconds of market time. */
  readonly at: number;
  readonly up: boolean;
  /** As it stands on the chart: short. */
  readonly sign: string;
  readonly title: string;
  readonly words: readonly string[];
  /** The order whose story tells more; null where there is none. */
  readonly order: string | null;
}

/** Everything that happened, oldest first. `signals` are everybody's, `own` the viewer's. */
export function marksOf(signals: readonly Signal[], own: OwnMarks): readonly Mark[] {
  const orders = byDhansNumber(own.orders);
  const marks = [
    ...signals.map(ofSignal),
    ...own.orders.map(ofOrder),
    ...own.trades.map((trade) => ofTrade(trade, orders)),
    ...own.exits.map(ofExit),
  ];
  return marks.sort((one, other) => one.at - other.at);
}

/** Number of the bar in which a moment lies: the last that began before it; -1 where none did. */
export function barAt(bars: readonly Bar[], at: number): number {
  return bars.findLastIndex((bar) => bar.start < at);
}

function ofSignal(signal: Signal): Mark {
  const up = signal.direction === "BULLISH";
  const seen = Object.entries(signal.features).map(([name, value]) => `${labelWithin(name)} ${measured(name, value)}`);
  return {
    id: signal.id,
    kind: "signal",
    at: signal.event_time,
    up,
    sign: up ? "rise" : "fall",
    title: `Signal: ${labelWithin(signal.rule)}, ${up ? "up" : "down"}`,
    words: [`A rule expects the price to ${up ? "rise" : "fall"}. It was ${rupees(signal.price)} at the close of a bar of ${signal.timeframe}.`, `It looked at: ${seen.join(", ")}.`],
    order: null,
  };
}

function ofOrder({ intent, execution }: OwnOrder): Mark {
  const buys = intent.side === "BUY";
  const size = grouped(intent.quantity);
  return {
    id: intent.id,
    kind: "order",
    at: intent.event_time,
    up: buys,
    sign: `order ${intent.side.toLowerCase()}`,
    title: `Your order: ${intent.side} ${size} at ${price(intent.price)} or better`,
    words: [`Stop ${price(intent.stop)}, target ${price(intent.target)}.`, outcomeOf(execution)],
    order: intent.id,
  };
}

function outcomeOf(execution: OwnOrder["execution"]): string {
  if (execution === null) return "It is on its way: no outcome yet.";
  if (execution.outcome === "accepted") return `The broker accepted it${execution.dhan_order_id ? `, order ${execution.dhan_order_id}` : ""}.`;
  return `No order: ${failureInWords(execution.reason || execution.reason_code)}`;
}

function ofTrade(trade: Trade, orders: ReadonlyMap<string, OwnOrder>): Mark {
  const { fill } = trade;
  const buys = fill.side === "BUY";
  const order = orders.get(fill.dhan_order_id);
  return {
    id: trade.id,
    kind: "fill",
    at: fill.traded_at || trade.event_time,
    up: buys,
    sign: `${buys ? "B" : "S"} ${grouped(fill.quantity)}`,
    title: `${buys ? "Bought" : "Sold"} ${grouped(fill.quantity)} at ${price(fill.price)}`,
    words: [order ? "It filled your order of this decision." : "It closed a position, or filled an order that no decision asked for."],
    order: order?.intent.id ?? null,
  };
}

const EXITS: Readonly<Record<ExitReason, string>> = {
  stop_lost: "the stop was gone",
  stop_excess: "more stops rested than were needed",
  stop_passed: "the price was past the stop",
  unprotected: "a position had no stop",
  square_off: "the day's positions are closed before the market is",
  halt: "trading was halted",
  deadline: "the time for it had come",
  day_loss: "the day's loss had reached its limit",
};
const ACTIONS: Readonly<Record<string, string>> = {
  place_stop: "Placed a stop",
  change_stop: "Changed the stop",
  place_close: "Closed the position",
  cancel: "Cancelled what rested",
};

function ofExit(exit: ExitOrder): Mark {
  const why = Object.hasOwn(EXITS, exit.reason_code) ? EXITS[exit.reason_code] : exit.reason_code;
  const prices = [exit.trigger ? `trigger ${price(exit.trigger)}` : "", exit.price ? `limit ${price(exit.price)}` : ""].filter(Boolean);
  const did = Object.hasOwn(ACTIONS, exit.action) ? ACTIONS[exit.action] : labelInWords(exit.action);
  return {
    id: exit.id,
    kind: "exit",
    at: exit.event_time,
    up: exit.side === "BUY",
    sign: exit.action === "place_close" ? "exit" : "stop",
    title: `${did}: ${why}`,
    words: [[`${grouped(Math.abs(exit.net ?? 0))} held`, ...prices, `outcome: ${exit.outcome}`].join(", ") + "."],
    order: null,
  };
}

function byDhansNumber(orders: readonly OwnOrder[]): ReadonlyMap<string, OwnOrder> {
  return new Map(orders.flatMap((order) => (order.execution?.dhan_order_id ? [[order.execution.dhan_order_id, order] as const] : [])));
}
