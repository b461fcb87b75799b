// The days that the books hold of one user, read under their own policies.
import type { PostgrestError, SupabaseClient } from "@supabase/supabase-js";

const MOST = 1_000; // rows of each table in one answer; PostgREST gives no more

/** A row of `public.positions`: one share on one day. Amounts in paise. */
export interface DayPosition {
  readonly trading_date: string;
  readonly instrument: string;
  readonly symbol: string;
  readonly bought: number;
  readonly sold: number;
  readonly net: number;
  readonly realised_paise: number;
  /** Estimated; null before they are known. */
  readonly charges_paise: number | null;
  readonly closed_by: string | null;
}

/** A row of `public.trades`: one fill. */
export interface DayTrade {
  readonly trading_date: string;
  readonly traded_at: string | null;
  readonly symbol: string;
  readonly instrument: string;
  readonly side: "BUY" | "SELL";
  readonly product: string;
  readonly quantity: number;
  readonly price_paise: number;
  readonly charges_paise: number | null;
  readonly dhan_order_id: string;
  readonly trade_id: string;
}

/** One trading day. */
export interface DayResult {
  readonly day: string;
  readonly positions: readonly DayPosition[];
  readonly trades: readonly DayTrade[];
  readonly realised: number;
  /** Null where those of a share are not known. */
  readonly charges: number | null;
  /** What the day left, after charges as far as they are known. */
  readonly net: number;
}

interface History {
  readonly positions: readonly DayPosition[];
  readonly trades: readonly DayTrade[];
  /** More is kept than was read. */
  readonly cut: boolean;
  readonly error: PostgrestError | null;
}

const POSITION = "trading_date, instrument, symbol, bought, sold, net, realised_paise, charges_paise, closed_by";
const TRADE = "trading_date, traded_at, symbol, instrument, side, product, quantity, price_paise, charges_paise, dhan_order_id, trade_id";

/** The newest, a thousand of each at most. */
export async function readHistory(client: SupabaseClient): Promise<History> {
  const [positions, trades] = await Promise.all([
    client.from("positions").select(POSITION).order("trading_date", { ascending: false }).order("symbol").limit(MOST),
    client.from("trades").select(TRADE).order("trading_date", { ascending: false }).order("traded_at", { ascending: false }).limit(MOST),
  ]);
  return {
    positions: (positions.data ?? []) as DayPosition[],
    trades: (trades.data ?? []) as DayTrade[],
    cut: positions.data?.length === MOST || trades.data?.length === MOST,
    error: positions.error ?? trades.error,
  };
}

/** By day, oldest first. */
export function daysOf(positions: readonly DayPosition[], trades: readonly DayTrade[]): readonly DayResult[] {
  const days = [...new Set(positions.map(({ trading_date }) => trading_date))].sort();
  return days.map((day) => {
    const held = positions.filter(({ trading_date }) => trading_date === day);
    const realised = sum(held.map(({ realised_paise }) => realised_paise));
    const known = held.map(({ charges_paise }) => charges_paise).filter((paise) => paise !== null);
    const charges = known.length === held.length ? sum(known) : null;
    return { day, positions: held, trades: trades.filter(({ trading_date }) => trading_date === day), realised, charges, net: realised - sum(known) };
  });
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, each) => total + each, 0);
}

const HEAD = "trading_date,traded_at_utc,symbol,instrument,side,product,quantity,price_rupees,charges_rupees,order,trade";

/** A table that a spreadsheet opens, oldest first. A cell cannot begin a formula. */
export function csvOf(trades: readonly DayTrade[]): string {
  const rows = trades.toReversed().map((one) =>
    [
      one.trading_date,
      one.traded_at ?? "",
      one.symbol,
      one.instrument,
      one.side,
      one.product,
      String(one.quantity),
      decimal(one.price_paise),
      one.charges_paise === null ? "" : decimal(one.charges_paise),
      one.dhan_order_id,
      one.trade_id,
    ]
      .map(cell)
      .join(","),
  );
  return [HEAD, ...rows, ""].join("\r\n");
}

function decimal(paise: number): string {
  return `${Math.floor(paise / 100)}.${String(paise % 100).padStart(2, "0")}`;
}

function cell(text: string): string {
  const safe = /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
