// A day's bars, lines and the bar that forms, put together from an answer and the events behind it. Pure.
import type { Bar, Chart, LastPrice, LinePoint, Lines } from "@/lib/gateway/views";
import type { Candle, Timeframe } from "@/lib/messages";
import { dayInIndia, momentOf } from "@/lib/time";

const MINUTE_NS = 60e9;
const MINUTES: Readonly<Record<Timeframe, number>> = { "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "1d": 1_440 };
const MOST = 500; // bars and points, as the gateway keeps

export interface Series {
  readonly bars: readonly Bar[];
  readonly lines: readonly LinePoint[];
}

export const EMPTY: Series = { bars: [], lines: [] };

/** What is known after a final bar. */
export function withBar(series: Series, candle: Candle): Series {
  const { start, open, high, low, close, volume, complete } = candle;
  return { ...series, bars: put(series.bars, [{ start, open, high, low, close, volume, complete }]) };
}

/** What is known after points of the lines. */
export function withLines(series: Series, { points }: Lines): Series {
  return { ...series, lines: put(series.lines, points) };
}

/** An answer, with what events told meanwhile of the same day. */
export function joined(chart: Chart, heard: Series): Series {
  const sameDay = ({ start }: { readonly start: number }): boolean => dayInIndia(momentOf(start)) === chart.trading_date;
  return { bars: put(chart.bars, heard.bars.filter(sameDay)), lines: put(chart.lines, heard.lines.filter(sameDay)) };
}

/** The bar that forms, from last prices as this page heard them; null before one came behind the last final bar. */
export function forming(before: Bar | null, last: LastPrice, bars: readonly Bar[], timeframe: Timeframe): Bar | null {
  const length = MINUTES[timeframe] * MINUTE_NS;
  const newest = bars.at(-1);
  if (newest === undefined || last.at < newest.start + length) return null;
  const start = newest.start + Math.floor((last.at - newest.start) / length) * length;
  const { price } = last;
  if (before?.start !== start) return { start, open: price, high: price, low: price, close: price, volume: 0, complete: false };
  return { ...before, high: Math.max(before.high, price), low: Math.min(before.low, price), close: price };
}

function put<T extends { readonly start: number }>(held: readonly T[], news: readonly T[]): readonly T[] {
  const all = new Map([...held, ...news].map((each) => [each.start, each]));
  return [...all.values()].sort((one, other) => one.start - other.start).slice(-MOST);
}
