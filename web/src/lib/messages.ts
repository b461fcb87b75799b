// Made by `python -m tools.messages` from schemas/messages.py: change that, not this.
// Amounts are paise. Times are UTC nanoseconds, more than a JavaScript number holds exactly: good
// to a microsecond. An enum may get values: expect one that is not listed.

/** What the Commander decides. */
export type Action = "BUY" | "SELL" | "HOLD";

/** Who wrote a report. */
export type AgentType = "TECHNICAL" | "SENTIMENT";

/** What came of a question to the outside. */
export type Answered = "ok" | "away" | "unreadable";

/** What became of a decision that needs an operator's yes before its entries are sent. */
export type ApprovalState = "waiting" | "yes" | "no" | "timed_out";

/** Why a packet's levels are no book. */
export type BookFault = "empty" | "price" | "quantity" | "order" | "crossed";

/** How a model call ended. */
export type CallOutcome = "ok" | "timeout" | "refused" | "unclean" | "transport" | "rejected" | "budget" | "cancelled" | "stale";

/** Which way a rule, a scan or an analyst leans. */
export type Direction = "BULLISH" | "BEARISH";

/** What was done about it. */
export type ExitAction = "place_stop" | "change_stop" | "place_close" | "cancel" | "flat" | "broker_kill" | "pnl_exit";

/** Why something was sent that no decision asked for. */
export type ExitReason = "stop_lost" | "stop_excess" | "stop_passed" | "unprotected" | "square_off" | "halt" | "deadline" | "day_loss";

/** What happened to a feed connection. */
export type FeedState = "connected" | "subscribed" | "gap" | "stale" | "disconnected" | "malformed" | "stopped";

/** Which part of a super order an order is; a plain order is an entry. */
export type Leg = "entry" | "stop_loss" | "target";

/** How an observation reached us. */
export type ObservedBy = "placement" | "order_update" | "order_book" | "trade_book";

/** Where an order stands, in the exchange's and Dhan's words. Dhan adds words without notice: those are `OTHER`, and the word is kept beside it. */
export type OrderStatus = "TRANSIT" | "PENDING" | "TRIGGERED" | "PART_TRADED" | "TRADED" | "CLOSED" | "CANCELLED" | "EXPIRED" | "REJECTED" | "OTHER";

/** Who made a decision: the agents, plain rules, or the safety net after a failure. */
export type Origin = "committee" | "rules" | "failsafe";

/** How an intent ended. `unknown` is never an end: it becomes accepted, rejected or not_found. */
export type Outcome = "accepted" | "rejected" | "denied" | "not_found";

/** The Scout's verdict on one symbol. */
export type ScanResult = "SHORTLISTED" | "DISCARDED";

/** What an order does. */
export type Side = "BUY" | "SELL";

/** How far the orders of a strategy go, most careful first. */
export type StrategyMode = "off" | "shadow" | "paper" | "live";

/** Length of a bar, shortest first. A bar ends with its session at the latest; a day's bar holds the day's sessions. */
export type Timeframe = "1m" | "3m" | "5m" | "15m" | "30m" | "60m" | "1d";

/** When the order left and what kind of answer came; its words stand in the execution. */
export interface Answer {
  /** microseconds of machine time since the claim */
  readonly sent: number;
  /** microseconds of machine time since the claim */
  readonly answered: number;
  /** accepted, rejected, not_sent or unknown */
  readonly kind: string;
}

/** Where a decision stands that needs an operator's yes. */
export interface Approval {
  readonly state: ApprovalState;
  /** machine time of the deadline, by the database's clock */
  readonly until: number;
}

/** The best bid and ask, and the units at the five best levels of each side. With a `fault` nothing else is known of it. */
export interface Book {
  /** market time at which its packet came */
  readonly at: number;
  /** the best; null where nobody buys */
  readonly bid?: number | null;
  /** the best; null where nobody sells */
  readonly ask?: number | null;
  /** shares or contract units, not lots */
  readonly bid_quantity?: number;
  /** shares or contract units, not lots */
  readonly ask_quantity?: number;
  /** null where the book is sound */
  readonly fault?: BookFault | null;
}

/** What Dhan says the account holds of one instrument. */
export interface BrokerPosition {
  readonly instrument: string;
  readonly product: string;
  /** units; below zero is short */
  readonly net: number;
}

/** The account's whole book was read: every order and trade of it was recorded before this. */
export interface BookRead {
  /** whether every row could be read */
  readonly whole: boolean;
  /** how many */
  readonly orders: number;
  /** how many */
  readonly trades: number;
  /** as the broker counts them */
  readonly positions: readonly BrokerPosition[];
}

/** One instrument's day until `end`, of its one-minute bars. */
export interface DaySoFar {
  /** of the newest bar */
  readonly end: number;
  /** paise per unit traded; 100 are one rupee */
  readonly open: number;
  /** paise per unit traded; 100 are one rupee */
  readonly high: number;
  /** paise per unit traded; 100 are one rupee */
  readonly low: number;
  /** paise per unit traded; 100 are one rupee */
  readonly close: number;
  /** seen from the session's open on, so open and extremes count */
  readonly whole: boolean;
  /** price 15 minutes before `end` */
  readonly close_15m?: number | null;
  /** price 60 minutes before `end` */
  readonly close_60m?: number | null;
}

/** What daily bars say of the trading days before. */
export interface DaysBefore {
  /** of the last of them */
  readonly high: number;
  /** paise per unit traded; 100 are one rupee */
  readonly low: number;
  /** paise per unit traded; 100 are one rupee */
  readonly close: number;
  /** units a day, mean of the last 20 */
  readonly average_volume: number;
  /** percent of the days known whose average true range, as a share of the close, was no greater than the last one's; null where too few are known */
  readonly volatility_percentile: number | null;
}

/** One continuous session of the instrument; `close` is its first moment outside. */
export interface SeenSession {
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly open: number;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly close: number;
}

/** The last trade, and its exchange time. */
export interface SeenQuote {
  /** paise per unit traded; 100 are one rupee */
  readonly price: number;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly traded_at: number;
}

/** The account's orders so far: of the day those that open, of a second all. */
export interface SeenCounts {
  /** how many */
  readonly today: number;
  /** how many */
  readonly this_second: number;
  /** how many */
  readonly last_second: number;
  /** how many */
  readonly last_minute?: number;
  /** how many */
  readonly last_hour?: number;
  /** how many */
  readonly last_day?: number;
}

/** The limits that the order was held to. */
export interface SeenLimits {
  /** paise; 100 are one rupee */
  readonly max_order_value: number;
  /** how many */
  readonly max_orders_per_day: number;
  /** limit price from the last trade, at most */
  readonly max_deviation: number;
  /** instruments; null, here and below: any */
  readonly max_open_positions?: number | null;
  /** paise; 100 are one rupee */
  readonly max_symbol_exposure?: number | null;
  /** paise; 100 are one rupee */
  readonly max_exposure?: number | null;
  /** paise; 100 are one rupee */
  readonly max_daily_loss?: number | null;
  /** those that may be traded, sorted */
  readonly segments?: readonly string[] | null;
  readonly products?: readonly string[] | null;
  readonly long_only?: boolean;
  /** minutes without an entry after a stop traded; null: none */
  readonly stop_out_cooldown?: number | null;
  /** how many */
  readonly max_stop_outs_per_day?: number | null;
  /** whether the user's own were known */
  readonly known?: boolean;
}

/** What the user's orders and fills of the day came to before this order. */
export interface SeenExposure {
  /** units here when all buys fill; below zero short */
  readonly most?: number;
  /** units here when all sells fill; below zero short */
  readonly least?: number;
  /** paise in all other instruments */
  readonly elsewhere?: number;
  /** how many */
  readonly positions?: number;
}

/** What the day's instrument master and list of bans said of the instrument. */
export interface SeenListed {
  /** of the day's price band; null: not told */
  readonly lower?: number | null;
  /** paise per unit traded; 100 are one rupee */
  readonly upper?: number | null;
  /** nothing is entered without a band */
  readonly band_needed?: boolean;
  /** units of one order that the exchange may reject; null: not told */
  readonly freeze_quantity?: number | null;
  /** on its underlying: none, in_force or unknown */
  readonly ban?: string;
}

/** The order among all users' of its decision, and the market's volume of the last minutes. */
export interface SeenCrowd {
  /** units of the user's own order before anything cut it */
  readonly asked: number;
  /** units of all users' orders of the decision */
  readonly ordered: number;
  /** units of other decisions that were accepted lately */
  readonly others: number;
  /** units that traded in the market lately */
  readonly volume: number;
  /** of the volume that all users may order together */
  readonly most: number;
  /** shares or contract units, not lots */
  readonly lot: number;
}

/** What a rules file says of one rule beyond its parameters. */
export interface Strategy {
  /** of the rule in the file */
  readonly name: string;
  readonly mode?: StrategyMode;
  /** paise at stake at a time, of one user; null, here and below: any */
  readonly capital?: number | null;
  /** instruments at a time */
  readonly max_open_positions?: number | null;
  /** those that open */
  readonly max_orders_per_day?: number | null;
  /** paise lost in a day, after which it enters nothing that day */
  readonly max_daily_loss?: number | null;
}

/** What the strategy behind the order allowed, and how far this platform's orders go. */
export interface SeenStrategy {
  readonly strategy: Strategy;
  readonly platform: StrategyMode;
  /** that open, sent by it today */
  readonly orders?: number;
  readonly exposure?: SeenExposure;
  /** paise made or lost today in its instruments, before charges */
  readonly day_result?: number;
  /** its loss had reached its limit once today */
  readonly lost?: boolean;
}

/** All that the gate looks at, at one moment of market time. */
export interface SeenContext {
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly now: number;
  /** a halt of the user or of everybody was in force */
  readonly halted: boolean;
  /** the running mode may trade the account */
  readonly mode_allows: boolean;
  readonly user_active: boolean;
  readonly token_refused: boolean;
  /** whose the token is: as_stored, another or unverified */
  readonly account: string;
  /** the calendar knew the day for the instrument's segment */
  readonly day_known: boolean;
  /** the instrument's own of the day; none when closed */
  readonly sessions: readonly SeenSession[];
  /** on Indian clocks */
  readonly square_off_cash: string;
  /** on Indian clocks */
  readonly square_off_fno: string;
  /** null before the feed's first record */
  readonly feed_clock: number | null;
  readonly quote: SeenQuote | null;
  readonly sent: SeenCounts;
  readonly limits: SeenLimits;
  /** units, by the orders of the day; below zero is short */
  readonly position: number;
  /** units, by the fills known; null where none is */
  readonly filled: number | null;
  /** the account's calls were answered, as far as was heard */
  readonly account_answers?: boolean;
  /** a halt that lets out nothing was in force */
  readonly stopped?: boolean;
  readonly exposure?: SeenExposure;
  /** paise made or lost today, closed and open, before charges */
  readonly day_result?: number;
  /** declared, where the mode trades a family */
  readonly member?: boolean;
  /** where requests come from: as_registered, another or unverified */
  readonly address?: string;
  /** why today's checks of the account are red; empty: green, or none */
  readonly preflight?: string;
  readonly listed?: SeenListed;
  /** stops of the user that traded today */
  readonly stop_outs?: number;
  /** when the last did in this instrument; null: none did */
  readonly stopped_out_at?: number | null;
  /** the day's book was read whole and agrees, as far as asked for */
  readonly reconciled?: boolean;
  /** null where nobody asked */
  readonly crowd?: SeenCrowd | null;
  /** false: Dhan was asked and did not say */
  readonly funds_known?: boolean;
  /** paise free for entries; null: not asked for, or unknown */
  readonly funds?: number | null;
  /** units the instrument is traded in */
  readonly lot?: number;
  /** the ledger had signed it, as far as asked for */
  readonly logged?: boolean;
  /** an operator's yes to the decision: waiting or yes; empty: none was needed */
  readonly approval?: string;
  /** absent where the rules file says nothing of the rule */
  readonly strategy?: SeenStrategy | null;
}

/** What the gate saw last before the order left, and what it said. An order that certainly did not leave is judged and tried again: then this is the last try. */
export interface Judgement {
  readonly seen: SeenContext;
  /** reason code of the denial; empty: it may leave */
  readonly verdict: string;
  /** microseconds from asking for the claim to having it */
  readonly claimed: number;
  /** microseconds of machine time since the claim */
  readonly judged: number;
  /** how many times it was judged */
  readonly tries: number;
  /** null where it was denied */
  readonly answer: Answer | null;
}

/** What the record of an order says about why. `judgement` is absent where the gate never judged (the claim was refused, or came too late), and where the process died between sending and recording: then nobody knows what it saw last. */
export interface Evidence {
  /** before the claim; by it the order may have been cut */
  readonly asked: SeenContext;
  /** units that the intent asked for */
  readonly asked_quantity: number;
  /** what forbade the whole, so that only the exit was left of it */
  readonly cut_by: readonly string[];
  /** the decision's deadline */
  readonly valid_until: number;
  /** trigger of the order's stop */
  readonly stop?: number | null;
  readonly judgement?: Judgement | null;
}

/** The last book of an instrument within five seconds. */
export interface InstrumentBook {
  readonly instrument: string;
  readonly book: Book;
}

/** One leaf: where a record stands, and what it is (`audit.ledger.entries`). */
export interface LedgerEntry {
  readonly topic: string;
  /** how many */
  readonly partition: number;
  /** how many */
  readonly offset: number;
  /** the record's own stamp, POSIX milliseconds */
  readonly published_ms: number;
  /** of topic, partition, key and value */
  readonly message: string;
  /** of the record's headers */
  readonly headers: string;
}

/** One input: its digest, and what it was where that is short. */
export interface ManifestInput {
  /** SHA-256 of the canonical JSON */
  readonly digest: string;
  /** bytes of the canonical JSON */
  readonly size: number;
  /** the value stands in ats.manifest-contents, under its digest */
  readonly apart: boolean;
  /** null where it stands apart */
  readonly value?: unknown;
}

/** One trade at the exchange. */
export interface ObservedFill {
  /** the exchange's number of the trade */
  readonly trade_id: string;
  readonly dhan_order_id: string;
  readonly instrument: string;
  readonly side: Side;
  readonly product: string;
  /** shares or contract units, not lots */
  readonly quantity: number;
  /** paise per unit traded; 100 are one rupee */
  readonly price: number;
  /** exchange time; 0 where not told */
  readonly traded_at?: number;
}

/** One order, or one leg of a super order, as Dhan showed it at one moment. */
export interface ObservedOrder {
  readonly dhan_order_id: string;
  readonly leg: Leg;
  /** the name it was placed under; empty where none was told */
  readonly dhan_correlation_id?: string;
  readonly instrument: string;
  readonly side: Side;
  readonly product: string;
  /** LIMIT, STOP_LOSS, …; empty where not told */
  readonly order_type?: string;
  readonly status: OrderStatus;
  /** Dhan's own word */
  readonly status_word: string;
  /** shares or contract units, not lots */
  readonly quantity: number;
  /** shares or contract units, not lots */
  readonly filled?: number;
  /** paise; filled quantity times average price, to the nearest paisa. Dhan rounds averages, so trades are truer */
  readonly filled_value?: number;
  /** limit in paise; 0 where there is none */
  readonly price?: number;
  /** trigger in paise; 0 where there is none */
  readonly trigger?: number;
  /** the broker's own time of this state; 0 where not told */
  readonly updated_at?: number;
  /** number of the super order that it is part of, which is its entry's number; empty for a plain order and where not told. A leg may have a number of its own */
  readonly super_order?: string;
  readonly reason?: string;
}

/** What was looked at before an account may enter anything, as it was judged. */
export interface PreflightFacts {
  /** market time of the look */
  readonly now: number;
  readonly trading_date: string;
  /** null where no token is stored */
  readonly token_expiry: number | null;
  /** the end of the day's last session; null on a day without one */
  readonly session_close: number | null;
  /** where Dhan sees requests come from: as_registered, another or unverified */
  readonly address: string;
  /** paise that may still be used; null: Dhan did not say */
  readonly funds: number | null;
  /** the day whose instrument master is used */
  readonly instruments_of: string;
  /** the calendar knows the day */
  readonly day_known: boolean;
  /** null before the feed's first record */
  readonly feed_clock: number | null;
  /** the day's whole book was read and recorded */
  readonly book_read: boolean;
  /** no position is known to differ from the broker's */
  readonly book_agrees: boolean;
  /** Dhan's own exit at a loss: armed, unarmed, unknown or not_wanted */
  readonly pnl_exit: string;
}

/** How far the price went after a moment. */
export interface PriceSince {
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly since: number;
  /** paise per unit traded; 100 are one rupee */
  readonly high: number;
  /** paise per unit traded; 100 are one rupee */
  readonly low: number;
}

/** The newest final bars of one timeframe. Columns of equal length, oldest first. */
export interface RecentBars {
  readonly timeframe: Timeframe;
  readonly start: readonly number[];
  /** of the newest bar */
  readonly end: number;
  readonly open: readonly number[];
  readonly high: readonly number[];
  readonly low: readonly number[];
  readonly close: readonly number[];
  readonly volume: readonly number[];
  /** indicators of the newest bar; absent during warm-up */
  readonly values: Readonly<Record<string, number>>;
}

/** One line of news, bounded as a model may see it. */
export interface RecordedHeadline {
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly published_at: number;
  readonly source: string;
  readonly text: string;
}

/** The Scout's verdict on one symbol; `rank` counts from 1 among the shortlisted. */
export interface ScanEntry {
  readonly scan_id: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly result: ScanResult;
  readonly initial_signal: Direction;
  /** from 1 */
  readonly rank?: number | null;
  readonly reason?: string;
  /** by name; paise where it is a price, else the measure's own unit */
  readonly features: Readonly<Record<string, number>>;
}

/** The mean move of the other shares of an instrument's industry, each share alike. */
export interface SectorSoFar {
  /** of the industry, as the operator's list has it */
  readonly name: string;
  /** others whose bars were known; each mean is of three at least */
  readonly shares: number;
  /** percent */
  readonly since_open?: number | null;
  /** percent */
  readonly last_15m?: number | null;
  /** percent */
  readonly last_60m?: number | null;
}

/** What one of several sources of news last answered, before a signal was judged. */
export interface SourceAnswer {
  readonly name: string;
  /** of the last time it was asked */
  readonly outcome: Answered;
  /** when it last answered well: its age is up to the signal; null for never */
  readonly answered_at: number | null;
  /** that it gave on the symbol and that may be seen */
  readonly headlines: number;
  readonly detail?: string;
}

/** Volume of the day's finished quarters of an hour, beside that of the same ones before. */
export interface VolumeSoFar {
  /** finished ones of the day */
  readonly quarters: number;
  /** shares or contract units, not lots */
  readonly volume: number;
  /** units, mean of `days`; null where none is known */
  readonly usual: number | null;
  /** how many */
  readonly days: number;
}

/** Why one user got no order of a decision. */
export interface WithoutOrder {
  readonly user_id: string;
  readonly reason_code: string;
}

/** `ats.candles`: a final bar. `event_time` is its end. `complete` is False when the engine was not watching from the bar's start, so the volume may be short. */
export interface Candle {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly instrument: string;
  readonly timeframe: Timeframe;
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
  /** how many */
  readonly ticks: number;
  readonly complete: boolean;
}

/** `ats.daily-bars`: the history of one instrument as the Scout of a trading date got it. Columns of equal length, oldest first. */
export interface DailyBars {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly trading_date: string;
  readonly instrument: string;
  /** of the span that was asked for, both ends included */
  readonly first: string;
  readonly last: string;
  readonly outcome: Answered;
  readonly detail?: string;
  readonly days?: readonly string[];
  readonly open?: readonly number[];
  readonly high?: readonly number[];
  readonly low?: readonly number[];
  readonly close?: readonly number[];
  readonly volume?: readonly number[];
}

/** `ats.deadletter`: what could not be read, verbatim (base64), with the reason. */
export interface DeadLetter {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly topic: string;
  /** of the topic the record came from */
  readonly partition: number;
  /** of the record in that partition */
  readonly offset: number;
  readonly reason: string;
  readonly field: string;
  readonly key: string | null;
  readonly value: string | null;
}

/** `ats.decisions`, the execution topic. Nothing may act on it at or after `valid_until`. */
export interface Decision {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly signal_id: string;
  readonly scan_id: string | null;
  readonly instrument: string;
  readonly symbol: string;
  readonly action: Action;
  readonly reasoning: string;
  /** percent */
  readonly confidence: number;
  readonly origin: Origin;
  readonly reason_code: string;
  /** paise per unit traded; 100 are one rupee */
  readonly reference_price: number;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly valid_until: number;
  readonly model?: string;
  readonly prompt_version?: string;
  /** what the rules file says of the rule; absent where it says nothing */
  readonly strategy?: Strategy | null;
}

/** `ats.depth`: the last books of five seconds of market time; `event_time` is the newest's. */
export interface Depth {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly books: readonly InstrumentBook[];
}

/** `ats.executions`: the one recorded outcome of an intent, or a later correction of it. A message whose id another one `corrects` no longer counts, whichever of the two is read first. */
export interface Execution {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly order_id: string;
  readonly decision_id: string;
  readonly user_id: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly side: Side;
  /** shares or contract units, not lots */
  readonly quantity: number;
  /** paise per unit traded; 100 are one rupee */
  readonly price: number;
  readonly outcome: Outcome;
  readonly reason_code: string;
  readonly reason?: string;
  readonly dhan_order_id?: string | null;
  /** id of the execution that this one replaces; absent from a first outcome */
  readonly corrects?: string | null;
  /** name of the strategy; absent where its rules file says nothing of it */
  readonly strategy?: string | null;
  /** what the gate saw; absent where nobody wrote it down */
  readonly evidence?: Evidence | null;
}

/** `ats.exits`: what was sent without a decision, why, what was seen, what Dhan answered. Its id follows from its content; `event_time` is the market time at which it was sent. */
export interface ExitOrder {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly user_id: string;
  readonly trading_date: string;
  readonly action: ExitAction;
  readonly reason_code: ExitReason;
  /** null where it is about the whole account */
  readonly instrument: string | null;
  readonly side?: Side | null;
  /** shares or contract units, not lots */
  readonly quantity?: number;
  /** limit in paise; 0 where there is none */
  readonly price?: number;
  /** trigger in paise; 0 where there is none */
  readonly trigger?: number;
  readonly leg?: Leg;
  readonly dhan_correlation_id?: string;
  readonly dhan_order_id?: string | null;
  /** units held as the broker's own book showed them; below zero short */
  readonly net?: number;
  /** units of them without a resting stop */
  readonly uncovered?: number;
  /** accepted, rejected, in_transit, not_sent or unknown; of `flat` proved; of `pnl_exit` armed, differs, rejected, not_sent or unknown */
  readonly outcome: string;
  readonly code?: string;
  /** Dhan's words */
  readonly reason?: string;
  /** microseconds of machine time from sending to Dhan's answer; 0 where nothing was sent */
  readonly waited_us?: number;
}

/** `ats.fanouts`: to whom a BUY or SELL went, and who got none and why. Its id follows from its content: a decision that is delivered again may find other users active, and says so. */
export interface FanOut {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly decision_id: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly action: Action;
  /** how many users got an order intent */
  readonly orders: number;
  /** users without one, by user id; the first thousands */
  readonly without?: readonly WithoutOrder[];
  /** users without one that are not listed */
  readonly more_without?: number;
  /** rule by which the users' intents came one after another; null: by user id */
  readonly turns?: string | null;
  /** null where the decision needed no operator's yes */
  readonly approval?: Approval | null;
}

/** `ats.feed`: the life of a connection. A gap names the market time span in which ticks may be missing. */
export interface FeedEvent {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  /** number of the connection */
  readonly gateway: number;
  readonly state: FeedState;
  readonly reason?: string;
  /** how many */
  readonly instruments?: number;
  /** how many */
  readonly packets?: number;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly gap_from?: number | null;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly gap_to?: number | null;
}

/** `ats.indicators`: values at bar close, by name such as `ema_9`; None during warm-up. */
export interface Indicators {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly instrument: string;
  readonly timeframe: Timeframe;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly start: number;
  /** paise per unit traded; 100 are one rupee */
  readonly close: number;
  /** by name; paise where it is a price, else the indicator's own unit; null during warm-up */
  readonly values: Readonly<Record<string, number | null>>;
}

/** `ats.ledger`: leaves of one day's log, in their order. It counts where it continues the log as the topic has it: `first` is the size of the log before. */
export interface LedgerBatch {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  /** trading date of the records */
  readonly day: string;
  /** index of the first leaf */
  readonly first: number;
  readonly entries: readonly LedgerEntry[];
}

/** `ats.checkpoints`: the head of one day's log, signed by the ledger or by a witness too. */
export interface LedgerCheckpoint {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly day: string;
  /** how many leaves */
  readonly size: number;
  /** the signed note (c2sp.org/tlog-checkpoint) */
  readonly note: string;
  /** index of the first leaf that `seals` are of */
  readonly since: number;
  /** of each leaf since, the ledger's signature */
  readonly seals?: readonly string[];
  /** TOPIC-PARTITION@OFFSET of each leaf since */
  readonly places?: readonly string[];
}

/** `ats.llm`: one model call, journalled before its answer is used. `id` is the hash of the request. */
export interface LlmCall {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly agent: string;
  readonly model: string;
  /** the body as sent to the provider */
  readonly request: Readonly<Record<string, unknown>>;
  readonly response: string | null;
  readonly outcome: CallOutcome;
  readonly detail?: string;
  /** whether a request left; true in records older than the field, whatever it was */
  readonly sent?: boolean;
  /** how many */
  readonly input_tokens?: number;
  /** how many */
  readonly output_tokens?: number;
  /** paise, 100 are one rupee; of the tokens used, at the price that the settings give */
  readonly cost?: number;
  /** milliseconds */
  readonly latency_ms: number;
}

/** `ats.manifest`: what decides the output of one service, at each start and each change. Its id follows from the service and the digests, so equal configuration has one id for ever. `event_time` is the begin of the trading date, on Indian clocks, for which it was written. The records that a service writes name it in the header `ats-manifest`. */
export interface Manifest {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly service: string;
  /** by name, such as rules or calendar */
  readonly inputs: Readonly<Record<string, ManifestInput>>;
}

/** `ats.manifest-contents`, compacted by digest: one input that is too long for a manifest. */
export interface ManifestContent {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  /** SHA-256 of the canonical JSON */
  readonly digest: string;
  /** the canonical JSON, zlib-compressed, in base64 */
  readonly packed: string;
}

/** `ats.market-context`: what was known of the market when a signal was judged. One a signal: whoever judges it again sees the same. */
export interface MarketContext {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly signal_id: string;
  readonly instrument: string;
  /** by timeframe, the shortest first */
  readonly frames?: readonly RecentBars[];
  readonly day?: DaySoFar | null;
  readonly before?: DaysBefore | null;
  readonly volume?: VolumeSoFar | null;
  /** since each of our own last decisions */
  readonly since_decisions?: readonly PriceSince[];
  /** of NIFTY 50 */
  readonly index?: DaySoFar | null;
  /** absent where nobody said which shares are of one industry */
  readonly sector?: SectorSoFar | null;
  /** the newest order book before the signal; absent where none came that day */
  readonly depth?: Book | null;
}

/** `ats.news`: what was known of a symbol when a signal was judged. One a signal: whoever judges it again sees the same. */
export interface NewsAnswer {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly signal_id: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly outcome: Answered;
  readonly detail?: string;
  /** headlines that the source gave, future ones too */
  readonly answered?: number;
  /** those that may be seen, newest first */
  readonly headlines?: readonly RecordedHeadline[];
  /** each source, where there are several */
  readonly sources?: readonly SourceAnswer[];
}

/** `ats.order-events`: one observation, recorded before it is used. Exactly one of `order`, `fill` and `book` is there. Its id follows from what was observed, so the same observation is the same event however often and by whomever it is made. `event_time` is the market time of the observation. */
export interface OrderEvent {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly user_id: string;
  readonly observed_by: ObservedBy;
  /** the Indian day whose book this is of */
  readonly trading_date: string;
  readonly order?: ObservedOrder | null;
  readonly fill?: ObservedFill | null;
  readonly book?: BookRead | null;
}

/** `ats.orders`: what one user shall do about one decision, before the gate has seen it. */
export interface OrderIntent {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly decision_id: string;
  readonly user_id: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly side: Side;
  /** shares or contract units, not lots */
  readonly quantity: number;
  /** paise per unit traded; 100 are one rupee */
  readonly price: number;
  /** paise per unit traded; 100 are one rupee */
  readonly stop: number;
  /** paise per unit traded; 100 are one rupee */
  readonly target: number;
  /** paise per unit traded; 100 are one rupee */
  readonly reference_price: number;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly valid_until: number;
  readonly dhan_correlation_id: string;
  /** what the rules file says of the rule; absent where it says nothing */
  readonly strategy?: Strategy | null;
}

/** `ats.positions`: what one user did and holds in one instrument on one day. Gross of charges. `realised` is what the closed part earned: the smaller of both quantities, times the difference of the two average prices, to the nearest paisa; exact when flat. */
export interface Position {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly user_id: string;
  readonly trading_date: string;
  readonly instrument: string;
  /** shares or contract units, not lots */
  readonly bought: number;
  /** paise; 100 are one rupee */
  readonly bought_value: number;
  /** shares or contract units, not lots */
  readonly sold: number;
  /** paise; 100 are one rupee */
  readonly sold_value: number;
  /** units; below zero is short */
  readonly net: number;
  /** paise; 100 are one rupee */
  readonly realised: number;
  /** units that a stop resting at the broker would close, should it trigger */
  readonly resting_stop: number;
  /** every filled unit is known trade by trade; else values are the broker's rounded averages */
  readonly by_trades: boolean;
  /** whether the broker's own count, when it was last read, was the same; null before it was read, and where something changed since */
  readonly agrees: boolean | null;
  /** stops that traded */
  readonly stop_outs?: number;
  /** when the last stop traded; absent where none did */
  readonly stopped_out_at?: number | null;
}

/** `ats.preflights`: whether one user may enter anything today, and why not. Told by each order worker when its verdict changed. Its id follows from the facts. */
export interface Preflight {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly user_id: string;
  readonly trading_date: string;
  readonly green: boolean;
  /** every reason; none where it is green */
  readonly reds: readonly string[];
  readonly facts: PreflightFacts;
}

/** `ats.reports`: one analyst's opinion on one signal. */
export interface Report {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly signal_id: string;
  readonly scan_id: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly agent_type: AgentType;
  /** -100 wholly bearish, 100 wholly bullish */
  readonly score: number;
  /** percent */
  readonly confidence: number;
  readonly summary: string;
  /** what the analyst looked at; its shape is the analyst's own */
  readonly data: Readonly<Record<string, unknown>>;
}

/** `ats.scans`: the Scout's list for one trading date. */
export interface Scan {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly trading_date: string;
  readonly origin: "model" | "rules";
  readonly entries: readonly ScanEntry[];
}

/** `ats.signals`: a rule fired at bar close. `features` are what it looked at and what an analyst asks of the bar first, in paise where they are prices. */
export interface Signal {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly instrument: string;
  readonly timeframe: Timeframe;
  readonly rule: string;
  readonly direction: Direction;
  /** paise per unit traded; 100 are one rupee */
  readonly price: number;
  /** by name; paise where it is a price, else the measure's own unit */
  readonly features: Readonly<Record<string, number>>;
  /** what the rules file says of the rule; absent where it says nothing */
  readonly strategy?: Strategy | null;
}

/** `ats.trades`: a fill, once. */
export interface Trade {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly user_id: string;
  readonly trading_date: string;
  readonly fill: ObservedFill;
  readonly dhan_correlation_id?: string;
}

/** `ats.sessions`: who is active, each change. `ats.sessions-latest`: the last of each user. Time and id are those of the cause. Each order worker tells all at its start, again with the same ids. Never holds a token. */
export interface UserSession {
  /** version of the message's schema; rises when it grows */
  readonly schema_version?: number;
  readonly id: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly event_time: number;
  readonly causation_id?: string | null;
  readonly correlation_id?: string | null;
  readonly user_id: string;
  readonly active: boolean;
  readonly reason: string;
  readonly token_expiry?: string | null;
}

/** What stands on each topic. */
export interface Topics {
  readonly "ats.feed": FeedEvent;
  readonly "ats.depth": Depth;
  readonly "ats.candles": Candle;
  readonly "ats.indicators": Indicators;
  readonly "ats.signals": Signal;
  readonly "ats.daily-bars": DailyBars;
  readonly "ats.scans": Scan;
  readonly "ats.market-context": MarketContext;
  readonly "ats.news": NewsAnswer;
  readonly "ats.reports": Report;
  readonly "ats.llm": LlmCall;
  readonly "ats.decisions": Decision;
  readonly "ats.sessions": UserSession;
  readonly "ats.sessions-latest": UserSession;
  readonly "ats.orders": OrderIntent;
  readonly "ats.executions": Execution;
  readonly "ats.order-events": OrderEvent;
  readonly "ats.trades": Trade;
  readonly "ats.positions": Position;
  readonly "ats.exits": ExitOrder;
  readonly "ats.preflights": Preflight;
  readonly "ats.fanouts": FanOut;
  readonly "ats.manifest": Manifest;
  readonly "ats.manifest-contents": ManifestContent;
  readonly "ats.ledger": LedgerBatch;
  readonly "ats.checkpoints": LedgerCheckpoint;
  readonly "ats.deadletter": DeadLetter;
}
