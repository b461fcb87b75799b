// What the pages show of an account, as the database says it. The shape of public.own_account() in supabase/migrations.
import type { Action } from "@/lib/messages";

/** A decision for this account. `market_time` is the market's when it was made. */
interface Decision {
  readonly market_time: string;
  readonly action: Action;
  readonly symbol: string;
}

/** An order that reached Dhan, or may have. */
export interface Order extends Decision {
  readonly id: string;
  readonly reasoning: string;
  readonly status: "SUCCESS" | "FAILED";
  readonly dhan_order_id: string | null;
  readonly failure_reason: string | null;
  /** When what was recorded first turned out wrong; null when it stands. */
  readonly corrected_at: string | null;
}

/** The decisions of one market day that made no order, for the same reason. */
export interface Denials {
  readonly day: string;
  readonly code: string;
  readonly count: number;
  /** Of the newest of them, like `reason`. */
  readonly market_time: string;
  readonly reason: string;
  /** The newest ten. */
  readonly decisions: readonly (Decision & { readonly decision_id: string })[];
}

/** What the order workers last said of themselves. */
export interface Platform {
  readonly mode: "paper" | "self" | "family" | "empanelled";
  /** Heard from within the last minute. */
  readonly alive: boolean;
  /** Whether the mode trades the connected account; paper trades all. */
  readonly admits_this_account: boolean;
  readonly max_order_value_rupees: number;
  readonly max_orders_per_day: number;
  readonly reported_at: string;
  /** Why no order at all leaves now, as a denial code; null when orders may. */
  readonly halted: string | null;
}

/** What one user may do at most; null says nothing of it. Amounts in paise. */
export interface Limits {
  readonly max_order_value_paise: number | null;
  readonly risk_per_trade_paise: number | null;
  readonly max_orders_per_day: number | null;
  readonly max_open_positions: number | null;
  readonly max_symbol_exposure_paise: number | null;
  readonly max_exposure_paise: number | null;
  readonly max_daily_loss_paise: number | null;
  readonly max_stop_outs_per_day: number | null;
  readonly stop_out_cooldown_minutes: number | null;
  readonly segments: readonly string[] | null;
  readonly products: readonly string[] | null;
  readonly long_only: boolean | null;
}

/** The newest look at the account before a day's entries; `reds` are codes, none when it is green. */
export interface Checks {
  readonly day: string;
  readonly reds: readonly string[];
  readonly looked_at: string;
}

/** What halts the user's trading now. */
export interface Halt {
  /** The user's own, who alone lifts it. */
  readonly own: boolean;
  /** Of all users. */
  readonly everybody: boolean;
  /** Positions are closed. */
  readonly flatten: boolean;
  /** Closing orders are held back too. */
  readonly all_orders: boolean;
  readonly since: string;
  /** When it ends by itself; null when somebody lifts it. */
  readonly until: string | null;
}

export interface Account {
  /** The database's clock: everything about expiry is told from it, never from the browser's. */
  readonly now: string;
  /** The last client id and the token's end; `token_expiry` is null when no token is stored. Null before the first connection. */
  readonly connection: { readonly client_id: string; readonly token_expiry: string | null; readonly is_trading_enabled: boolean } | null;
  /** A connection was started and is not finished. */
  readonly connecting: boolean;
  /** Dhan may have ended the stored token: a login was begun since, and no token of it was stored. */
  readonly token_doubted: boolean;
  /** Dhan refused the stored token: nothing is sent until the user connects again. */
  readonly token_refused: boolean;
  /** When another user last tried to connect this user's Dhan account, within thirty days. */
  readonly account_contested_at: string | null;
  /** When another user took the account over, after this user's token had ended or Dhan had refused it. */
  readonly account_lost_at: string | null;
  /** The switch went off by itself, because real money began to trade an account whose owner had agreed to another mode. */
  readonly mode_changed: boolean;
  /** Null when no order worker has ever reported. */
  readonly platform: Platform | null;
  /** The day's orders are used up: only those that close a position still leave. */
  readonly orders_used_up: boolean;
  /** What holds: the tighter of the next two, limit by limit. Null when there is neither. */
  readonly limits: Limits | null;
  /** How far an operator lets the user go. */
  readonly limits_ceiling: Limits | null;
  /** The user's own choice. */
  readonly limits_own: Limits | null;
  /** Null when nobody has looked. Looked at with real money only. */
  readonly checks: Checks | null;
  /** In force now; none while the user may trade. */
  readonly halts: readonly Halt[];
  /** The newest fifty. */
  readonly orders: readonly Order[];
  /** Of the last week, at most twenty. */
  readonly denials: readonly Denials[];
}

export type ConnectionState = "never" | "connecting" | "connected" | "expired" | "disconnected";

export function connectionState(account: Account): ConnectionState {
  const { connection, connecting, now } = account;
  if (connection?.token_expiry && Date.parse(connection.token_expiry) > Date.parse(now)) return "connected";
  if (connecting) return "connecting";
  if (connection === null) return "never";
  return connection.token_expiry ? "expired" : "disconnected";
}

const SOON_MS = 2 * 3_600_000; // time enough to log in at Dhan before the day's trading stops

/** Whether to ask for a reconnection before the token ends. */
export function endsSoon(account: Account): boolean {
  const { connection, now } = account;
  return connectionState(account) === "connected" && Date.parse(connection?.token_expiry ?? "") - Date.parse(now) < SOON_MS;
}
