// The day as the gateway told it, event by event. Pure. What is kept is bounded as in ats/gateway.
import type { ExitOrder, ObservedOrder, Position } from "@/lib/messages";
import type { Events, LastPrice, Market, Own, Today } from "@/lib/gateway/views";

const MOST_PUBLIC = 50; // signals and decisions
const MOST_OWN = 100; // of each kind of the user's own
const MOST_PRICES = 200; // what a viewer may ask for and hold

/** `Today`, with prices by instrument. */
export interface Day {
  readonly market: Market;
  readonly own: Own;
  readonly prices: Readonly<Record<string, LastPrice>>;
}

/** The day of a snapshot. */
export function dayOf({ market, own, prices }: Today): Day {
  return { market, own, prices: Object.fromEntries(prices.map((one) => [one.instrument, one])) };
}

type Name = keyof Events;
type Fold<N extends Name> = (day: Day, told: Events[N]) => Day;

const market = (day: Day, change: Partial<Market>): Day => ({ ...day, market: { ...day.market, ...change } });
const own = (day: Day, change: Partial<Own>): Day => ({ ...day, own: { ...day.own, ...change } });
const named = (day: Day, what: { instrument: string; symbol: string }): Readonly<Record<string, string>> => ({
  ...day.market.symbols,
  [what.instrument]: what.symbol,
});

/** `held` with `one` in the place of what has the same key, or behind the others; the oldest give way. */
function put<T>(held: readonly T[], one: T, key: (each: T) => string, most: number): readonly T[] {
  const at = held.findIndex((each) => key(each) === key(one));
  return at < 0 ? [...held, one].slice(-most) : held.map((each, i) => (i === at ? one : each));
}

const id = (each: { readonly id: string }): string => each.id;
const byOrder = (each: ObservedOrder): string => `${each.dhan_order_id} ${each.leg}`;
const byInstrument = (each: Position): string => each.instrument;

const FOLDS: { readonly [N in Name]?: Fold<N> } = {
  snapshot: (_, today) => dayOf(today),
  feed: (day, feed) => market(day, { feeds: put(day.market.feeds, feed, (each) => String(each.gateway), MOST_PUBLIC) }),
  shortlist: (day, shortlist) => market(day, { shortlist }),
  signal: (day, signal) => market(day, { signals: put(day.market.signals, signal, id, MOST_PUBLIC) }),
  decision: (day, decision) =>
    market(day, { decisions: put(day.market.decisions, decision, id, MOST_PUBLIC), symbols: named(day, decision) }),
  approval: (day, approval) => market(day, { approvals: put(day.market.approvals, approval, (each) => each.decision_id, MOST_PUBLIC) }),
  prices: (day, { prices }) => ({ ...day, prices: merged(day.prices, prices) }),
  session: (day, session) => own(day, { session }),
  preflight: (day, preflight) => own(day, { preflight }),
  order: (day, order) => ({
    market: { ...day.market, symbols: named(day, order.intent) },
    own: { ...day.own, orders: put(day.own.orders, order, (each) => each.intent.id, MOST_OWN) },
    prices: day.prices,
  }),
  broker_order: (day, order) => own(day, { broker_orders: put(day.own.broker_orders, order, byOrder, MOST_OWN) }),
  trade: (day, trade) => own(day, { trades: put(day.own.trades, trade, id, MOST_OWN) }),
  position: (day, position) => own(day, { positions: put(day.own.positions, position, byInstrument, MOST_OWN) }),
  exit: (day, exit) => own(day, { exits: put<ExitOrder>(day.own.exits, exit, id, MOST_OWN) }),
  result: (day, result) => own(day, { result }),
};

/** The events that change the day. */
export const KEPT = Object.keys(FOLDS) as readonly Name[];

/** The day after an event; the same where the event says nothing of it. */
export function after<N extends Name>(day: Day, name: N, told: Events[N]): Day {
  const fold = FOLDS[name] as Fold<N> | undefined;
  return fold ? fold(day, told) : day;
}

function merged(held: Day["prices"], news: readonly LastPrice[]): Day["prices"] {
  const all = { ...held, ...Object.fromEntries(news.map((one) => [one.instrument, one])) };
  const names = Object.keys(all);
  if (names.length <= MOST_PRICES) return all;
  return Object.fromEntries(Object.entries(all).slice(names.length - MOST_PRICES));
}
