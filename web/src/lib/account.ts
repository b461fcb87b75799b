// What the account page shows, as the database says it. The shape of public.own_account() in supabase/migrations.

export interface Order {
  readonly id: string;
  readonly recorded_at: string;
  readonly action: "BUY" | "SELL" | "HOLD";
  readonly symbol: string;
  readonly reasoning: string;
  readonly status: "SUCCESS" | "FAILED";
  readonly dhan_order_id: string | null;
  readonly failure_reason: string | null;
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
  readonly orders: readonly Order[];
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
