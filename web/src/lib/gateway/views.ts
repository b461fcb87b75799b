// Made by `python -m tools.messages` from ats/gateway: change that, not this.
// Amounts are paise. Times are UTC nanoseconds, more than a JavaScript number holds exactly: good
// to a microsecond. An enum may get values: expect one that is not listed.

import type { Candle, Decision, Execution, ExitOrder, FeedState, ObservedOrder, OrderIntent, Position, Preflight, Report, ScanEntry, Signal, Timeframe, Trade, UserSession } from "@/lib/messages";

/** One final bar. */
export interface Bar {
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly start: number;
  /** paise per unit traded; 100 are one rupee */
  readonly open: number;
  /** paise per unit traded; 100 are one rupee */
  readonly high: number;
  /** paise per unit traded; 100 are one rupee */
  readonly low: number;
  /** paise per unit traded; 100 are one rupee */
  readonly close: number;
  /** shares or contract units, not lots */
  readonly volume: number;
  /** false: the engine did not watch from the bar's start */
  readonly complete: boolean;
}

/** The newest final bars of one instrument, oldest first. */
export interface Candles {
  readonly instrument: string;
  readonly timeframe: Timeframe;
  readonly bars: readonly Bar[];
}

/** Averages at the close of one bar. */
export interface LinePoint {
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly start: number;
  /** paise, by name: vwap, ema_9, ema_21; without what is not computed or warms up */
  readonly values: Readonly<Record<string, number>>;
}

/** What one decision asked for, and what became of it. */
export interface OwnOrder {
  readonly intent: OrderIntent;
  /** the outcome that counts now; null while there is none */
  readonly execution: Execution | null;
}

/** What one user did in one instrument on one day, to that user alone. */
export interface OwnMarks {
  readonly orders: readonly OwnOrder[];
  readonly trades: readonly Trade[];
  /** the newest */
  readonly exits: readonly ExitOrder[];
}

/** One day of one instrument: its final bars, what was seen in them, and what you did. */
export interface Chart {
  readonly instrument: string;
  /** "" where nobody named it */
  readonly symbol: string;
  readonly timeframe: Timeframe;
  /** null before anything was told */
  readonly trading_date: string | null;
  /** those that can be asked for */
  readonly days: readonly string[];
  readonly bars: readonly Bar[];
  readonly lines: readonly LinePoint[];
  /** false: they could not be read just now */
  readonly lines_known: boolean;
  /** of every timeframe */
  readonly signals: readonly Signal[];
  readonly own: OwnMarks;
}

/** One decision with what it came from, and the asker's own order of it. */
export interface DecisionStory {
  readonly decision: Decision;
  readonly signal: Signal | null;
  readonly reports: readonly Report[];
  readonly order: OwnOrder | null;
}

/** Decisions of the day, newest first. */
export interface Decisions {
  readonly trading_date: string | null;
  readonly decisions: readonly DecisionStory[];
  /** earlier ones of the day follow behind the last */
  readonly more: boolean;
}

/** Why the gateway ends a stream. */
export interface End {
  /** token_expired: come with a new one; stopping: come again */
  readonly reason: string;
}

/** What the market feed last said of itself. */
export interface Feed {
  /** number of the connection */
  readonly gateway: number;
  readonly state: FeedState;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly at: number;
}

/** The last trade of one instrument. */
export interface LastPrice {
  readonly instrument: string;
  /** paise per unit traded; 100 are one rupee */
  readonly price: number;
  /** exchange time, UTC nanoseconds */
  readonly at: number;
}

/** New points of the lines over one instrument's bars. */
export interface Lines {
  readonly instrument: string;
  readonly timeframe: Timeframe;
  readonly points: readonly LinePoint[];
}

/** The Scout's shortlisted symbols of one trading date, best first. */
export interface Shortlist {
  readonly trading_date: string;
  readonly entries: readonly ScanEntry[];
}

/** What every user may see of the newest trading day. Signals and decisions are the newest. */
export interface Market {
  /** null before anything was told */
  readonly trading_date: string | null;
  /** market clock of the feed; 0 before its first record */
  readonly clock: number;
  /** when the day's first session begins; null while no instrument is known */
  readonly opens: number | null;
  /** when its last session ends */
  readonly closes: number | null;
  /** `clock` is the only clock: the day is played again */
  readonly replayed: boolean;
  readonly feeds: readonly Feed[];
  readonly shortlist: Shortlist | null;
  /** by instrument: of what is asked for, held or signalled */
  readonly symbols: Readonly<Record<string, string>>;
  readonly signals: readonly Signal[];
  readonly decisions: readonly Decision[];
}

/** The day's profit or loss so far, in paise; an estimate until the broker's bill is there. */
export interface OwnResult {
  /** paise; 100 are one rupee */
  readonly realised: number;
  /** null where the price of something held is unknown */
  readonly unrealised: number | null;
  /** of the fills so far; null where nobody knows them */
  readonly charges: number | null;
  /** of the model calls behind the decisions that the user's orders are of, undivided by how many users they served */
  readonly thinking: number;
  /** what the account is left with */
  readonly after_charges: number | null;
  /** the same less the thinking */
  readonly after_everything: number | null;
}

/** One user's newest trading day, to that user alone. */
export interface Own {
  readonly user_id: string;
  readonly trading_date: string | null;
  /** null where nothing was told lately */
  readonly session: UserSession | null;
  /** of the trading date; null without a look */
  readonly preflight: Preflight | null;
  readonly result: OwnResult;
  readonly positions: readonly Position[];
  /** the newest */
  readonly orders: readonly OwnOrder[];
  /** the newest of the broker's book, legs of super orders by themselves */
  readonly broker_orders: readonly ObservedOrder[];
  /** the newest */
  readonly trades: readonly Trade[];
  /** the newest */
  readonly exits: readonly ExitOrder[];
}

/** Those last prices that changed since they were last told. */
export interface Prices {
  readonly prices: readonly LastPrice[];
}

/** Why a request got no answer. */
export interface Refusal {
  readonly error: string;
  readonly message: string;
}

/** All of it at one moment. Of a stream the first event, and again where events were lost. */
export interface Today {
  readonly market: Market;
  readonly own: Own;
  readonly prices: readonly LastPrice[];
}

/** What is long, and looked into on demand. */
export interface WhySection {
  readonly title: string;
  readonly lines: readonly string[];
}

/** One step of a story. */
export interface WhyStep {
  readonly role: string;
  readonly text: string;
  /** when it was written, by the writer's clock */
  readonly at: number | null;
  readonly details: readonly string[];
  readonly sections: readonly WhySection[];
}

/** One order of yours from the tick to the fill, in sentences, to you alone. */
export interface Why {
  readonly order: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly trading_date: string;
  readonly steps: readonly WhyStep[];
  /** what should be recorded and is not */
  readonly missing: readonly string[];
}

/** What each event of the stream holds. */
export interface Events {
  readonly snapshot: Today;
  readonly feed: Feed;
  readonly shortlist: Shortlist;
  readonly signal: Signal;
  readonly report: Report;
  readonly decision: Decision;
  readonly candle: Candle;
  readonly prices: Prices;
  readonly lines: Lines;
  readonly session: UserSession;
  readonly preflight: Preflight;
  readonly order: OwnOrder;
  readonly broker_order: ObservedOrder;
  readonly trade: Trade;
  readonly position: Position;
  readonly exit: ExitOrder;
  readonly result: OwnResult;
  readonly end: End;
}
