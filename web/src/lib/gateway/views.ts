// Made by `python -m tools.messages` from ats/gateway: change that, not this.
// Amounts are paise. Times are UTC nanoseconds, more than a JavaScript number holds exactly: good
// to a microsecond. An enum may get values: expect one that is not listed.

import type { Action, Approval, ApprovalState, Candle, Decision, Execution, ExitOrder, FeedState, ObservedOrder, OrderIntent, Position, Preflight, Report, ScanEntry, Signal, Timeframe, Trade, UserSession } from "@/lib/messages";

/** What may leave, of one user or of all. */
export type TradingState = "ACTIVE" | "REDUCING" | "HALTED";

/** Entries wait for an operator's yes. */
export interface ApprovalMode {
  /** what a decision waits at most; then the answer is no */
  readonly seconds: number;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly since: number;
  readonly by: string;
  readonly reason: string;
}

/** A decision that needs an operator's yes, as it was when it was left. */
export interface AskedDecision {
  readonly decision_id: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly action: Action;
  /** when it was decided */
  readonly price: number;
  /** whose entries wait */
  readonly users: number;
  /** of all of them, at their limit prices */
  readonly value: number;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly asked_at: number;
  /** the deadline; this and all else by the database's clock */
  readonly until: number;
  /** until the deadline, when the database was read */
  readonly left_ms: number;
  readonly answer: ApprovalState;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly answered_at: number | null;
  /** null where nobody did in time */
  readonly answered_by: string | null;
  readonly reason: string | null;
}

/** The last trade of one instrument. */
export interface LastPrice {
  readonly instrument: string;
  /** paise per unit traded; 100 are one rupee */
  readonly price: number;
  /** exchange time, UTC nanoseconds */
  readonly at: number;
}

/** A decision that waits, with all that a person needs to answer. */
export interface WaitingDecision {
  readonly asked: AskedDecision;
  /** now; null where none is known */
  readonly last_price: LastPrice | null;
  /** the Commander's; null where the day holds it not */
  readonly reasoning: string | null;
  /** what the analysts said, without their data */
  readonly reports: readonly Report[];
}

/** What waits for an operator's yes. */
export interface Approvals {
  /** null: entries leave without a yes */
  readonly mode: ApprovalMode | null;
  /** soonest deadline first */
  readonly waiting: readonly WaitingDecision[];
  /** the newest, newest first */
  readonly answered: readonly AskedDecision[];
}

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

/** What the market feed last said of itself. */
export interface Feed {
  /** number of the connection */
  readonly gateway: number;
  readonly state: FeedState;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly at: number;
}

/** From the record of ticks that closed a bar to the bar on its topic, in milliseconds. */
export interface Latency {
  /** how many were measured, the newest */
  readonly bars: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** What could not be read, of one topic and for one reason. */
export interface DeadLetters {
  readonly topic: string;
  readonly reason: string;
  readonly count: number;
}

/** What flows. */
export interface Pipeline {
  /** over the newest seconds */
  readonly ticks_per_second: number;
  /** records that wait, by consumer group */
  readonly lags: Readonly<Record<string, number>>;
  /** null where no bar closed lately */
  readonly bar_latency: Latency | null;
  /** of the day, by action */
  readonly decisions: Readonly<Record<string, number>>;
  /** decisions that the safety net made after a failure; null without a decision */
  readonly failsafe_percent: number | null;
  /** of the day's model calls */
  readonly thinking: number;
  /** of the last day, most frequent first */
  readonly dead_letters: readonly DeadLetters[];
}

/** A halt in force. */
export interface Halt {
  /** null: everybody's */
  readonly user_id: string | null;
  /** the user set it, and alone lifts it */
  readonly own: boolean;
  readonly state: TradingState;
  /** positions are closed */
  readonly flatten: boolean;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly since: number;
  /** when it ends by itself; null: when it is lifted */
  readonly until: number | null;
  readonly by: string;
  readonly reason: string;
}

/** What the database knows of a user who ever connected Dhan. */
export interface DhanAccount {
  readonly user_id: string;
  readonly email: string | null;
  readonly dhan_client_id: string;
  readonly switched_on: boolean;
  /** null where no token is stored */
  readonly token_until: number | null;
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

/** One user. */
export interface Person {
  readonly user_id: string;
  /** null where nothing was told lately */
  readonly active: boolean | null;
  /** why they are active or not */
  readonly reason: string;
  /** their preflight; null without one today */
  readonly green: boolean | null;
  readonly reds: readonly string[];
  readonly result: OwnResult;
  /** of what is held, both sides added, at the last prices */
  readonly exposure: number;
  /** instruments that are held */
  readonly positions: number;
  /** of the day */
  readonly orders: number;
  /** machine seconds of the day in which no stop rested for all of a position */
  readonly unprotected_seconds: number;
  readonly unprotected_now: boolean;
}

/** One user as an operator sees them. */
export interface OperatedUser {
  readonly user_id: string;
  /** null: the database does not know them, or is away */
  readonly account: DhanAccount | null;
  /** null: the database was not read yet */
  readonly state: TradingState | null;
  /** null where the topics told nothing lately */
  readonly day: Person | null;
}

/** Something that somebody should know. */
export interface Incident {
  /** when it was published, machine time */
  readonly at: number;
  readonly kind: string;
  readonly user_id: string | null;
  readonly words: string;
}

/** How the platform stands, to operators alone. */
export interface Console {
  /** machine time */
  readonly at: number;
  /** the asker's name; null as long as it is not known */
  readonly operator: string | null;
  /** accounts and halts are those of `database_read_at` */
  readonly database_away: boolean;
  /** null where it was not read yet */
  readonly database_read_at: number | null;
  readonly trading_date: string | null;
  /** market clock; 0 before the first tick was seen */
  readonly clock: number;
  readonly feeds: readonly Feed[];
  /** false: Kafka did not say what waits */
  readonly lags_known: boolean;
  readonly pipeline: Pipeline;
  /** of everybody; null as with users */
  readonly state: TradingState | null;
  readonly halts: readonly Halt[];
  /** null: the database was not read yet */
  readonly approvals: Approvals | null;
  readonly users: readonly OperatedUser[];
  /** of the last day, newest first */
  readonly incidents: readonly Incident[];
}

/** How a decision stands that needs an operator's yes before its entries are sent. */
export interface DecisionApproval {
  readonly decision_id: string;
  readonly approval: Approval;
}

/** One decision with what it came from, and the asker's own order of it. */
export interface DecisionStory {
  readonly decision: Decision;
  readonly signal: Signal | null;
  readonly reports: readonly Report[];
  readonly order: OwnOrder | null;
  /** null where no operator's yes was needed */
  readonly approval: Approval | null;
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
  /** of the day's decisions that needed a yes, the newest */
  readonly approvals: readonly DecisionApproval[];
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

/** One user's day as they see it themselves, to operators alone. */
export interface OperatedDay {
  readonly own: Own;
  readonly prices: readonly LastPrice[];
}

/** One thing that an operator did on the console. */
export interface OperatorAction {
  readonly id: number;
  readonly operator: string;
  /** halt, reduce, flatten, resume, approvals_on, approvals_off, approve or refuse */
  readonly action: string;
  /** null: everybody */
  readonly user_id: string | null;
  readonly reason: string;
  /** nanoseconds since 1970-01-01T00:00:00 UTC */
  readonly at: number;
}

/** What operators did on the console, newest first. */
export interface OperatorActions {
  readonly actions: readonly OperatorAction[];
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

/** A figure and its 95 % interval; null where too few decisions tell it. */
export interface ScoreEstimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** One rule, agent or kind of decision. */
export interface ScoreLine {
  readonly name: string;
  /** how many were scored */
  readonly count: number;
  /** nothing can be said of it yet */
  readonly too_few: boolean;
  /** share that was right after 15 minutes, 0 to 1 */
  readonly right: ScoreEstimate;
  /** mean gain after 15 minutes, basis points */
  readonly gain: ScoreEstimate;
  /** gains by losses within 15 minutes */
  readonly profit_factor: ScoreEstimate;
  /** of the confidence; 0 is best, a coin has 0.25 */
  readonly brier: ScoreEstimate;
}

/** Lines of one kind. */
export interface ScoreSection {
  readonly title: string;
  readonly lines: readonly ScoreLine[];
}

/** How good one day's decisions were, to operators alone. */
export interface ScoreCard {
  /** null before anything was told */
  readonly trading_date: string | null;
  /** machine time */
  readonly made_at: number;
  readonly decisions: number;
  /** of those, how many met no price in time */
  readonly unpriced: number;
  /** records that could not be read, and are not scored */
  readonly unreadable: number;
  /** those that have lines */
  readonly sections: readonly ScoreSection[];
  /** what to know before believing a figure */
  readonly remarks: readonly string[];
  readonly method: string;
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
  readonly approval: DecisionApproval;
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
