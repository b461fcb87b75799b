// The chart of a share: live for the newest day, as it was for an earlier one.
"use client";
import dynamic from "next/dynamic";
import { useCallback, useMemo, useState } from "react";
import type { Level } from "@/app/chart/drawing";
import { Happened } from "@/app/chart/happened";
import { type Mark, marksOf } from "@/app/chart/marks";
import { type Choice, Picker, type Share } from "@/app/chart/picker";
import { EMPTY, forming, joined, type Series, withBar, withLines } from "@/app/chart/series";
import { BarsTable } from "@/app/chart/table";
import { MarketLine } from "@/app/today/market";
import type { Day } from "@/lib/gateway/day";
import { useChart, useEvent, useLive, useWanted } from "@/lib/gateway/hooks";
import { exitsOf } from "@/lib/gateway/holding";
import { isWaiting } from "@/lib/gateway/stream";
import type { Bar, Chart, LastPrice, OwnMarks, Today } from "@/lib/gateway/views";
import type { Signal } from "@/lib/messages";
import { price } from "@/lib/money";
import { useSessionEnd } from "@/lib/use-session-end";
import { wordsOf } from "@/lib/words";

const Drawing = dynamic(() => import("@/app/chart/drawing"), { ssr: false, loading: () => <div className="canvas skeleton" /> });

export function ChartView({ first, asked }: { first: Today | string; asked: Choice }) {
  const live = useLive(first);
  const { day } = live;
  const [choice, setChoice] = useState(asked);
  const shares = useMemo(() => sharesOf(day, choice.instrument), [day, choice.instrument]);
  const instrument = choice.instrument ?? shares[0]?.instrument ?? null;
  useSessionEnd(live.problem);

  const choose = useCallback(
    (change: Partial<Choice>): void => {
      const next = { ...choice, instrument, ...change };
      setChoice(next);
      window.history.replaceState(null, "", `/chart?${addressOf(next)}`);
    },
    [choice, instrument],
  );

  useWanted(instrument ? [instrument] : []);
  const { series, chart, problem } = useSeries(instrument, choice, live.snapshots);
  const newest = choice.day === null || choice.day === day?.market.trading_date;
  const last = instrument && newest ? (day?.prices[instrument] ?? null) : null;
  const now = useForming(last, series.bars, choice.timeframe);
  const marks = useMemo(() => marksFor(chart, newest ? day : null, instrument), [chart, day, instrument, newest]);
  const levels = newest && day && instrument ? levelsOf(day, instrument) : [];
  const [picked, setPicked] = useState<Mark | null>(null);
  const share = shares.find((each) => each.instrument === instrument);
  const name = chart?.symbol || share?.symbol || "Chart";
  return (
    <div className="wide">
      <div className="title">
        <h1>{name}</h1>
        <p className="last">{last ? price(last.price) : " "}</p>
      </div>
      <MarketLine live={live} />
      <Picker choice={{ ...choice, instrument }} shares={shares} days={chart?.days ?? (day?.market.trading_date ? [day.market.trading_date] : [])} choose={choose} />
      <section aria-label="Candles" aria-busy={chart === null && problem === null && instrument !== null} className="card chart">
        <ChartBody {...{ instrument, problem, chart, series, now, marks, levels, name }} waiting={isWaiting(live)} known={day !== null} pick={setPicked} />
        <Legend chart={chart} />
      </section>
      <Happened known={chart !== null || (instrument === null && day !== null)} marks={marks} picked={picked} pick={setPicked} />
      {series.bars.length > 0 && <BarsTable name={name} bars={series.bars} lines={series.lines} marks={marks} />}
    </div>
  );
}

interface BodyProps {
  readonly instrument: string | null;
  readonly waiting: boolean;
  readonly known: boolean;
  readonly problem: string | null;
  readonly chart: Chart | null;
  readonly series: Series;
  readonly now: Bar | null;
  readonly marks: readonly Mark[];
  readonly levels: readonly Level[];
  readonly name: string;
  readonly pick: (mark: Mark) => void;
}

function ChartBody({ instrument, waiting, known, problem, chart, series, now, marks, levels, name, pick }: BodyProps) {
  if (problem !== null) return <Nothing>{wordsOf(problem).text}</Nothing>;
  if (instrument === null && !waiting && !known) return <Nothing>Not known while live figures do not arrive.</Nothing>;
  if (instrument === null && !waiting) return <Nothing>No share is looked at yet. The day’s shares appear here when the Scout has chosen them.</Nothing>;
  if (chart === null) return <div className="canvas skeleton" />;
  if (series.bars.length === 0) return <Nothing>No bar of this day yet. The first one appears when it closes.</Nothing>;
  return <Drawing name={name} bars={series.bars} lines={series.lines} forming={now} marks={marks} levels={levels} pick={pick} />;
}

function Nothing({ children }: { children: React.ReactNode }) {
  return (
    <div className="canvas nothing">
      <p className="soft">{children}</p>
    </div>
  );
}

function Legend({ chart }: { chart: Chart | null }) {
  return (
    <p className="legend soft">
      <span className="of-vwap">VWAP</span> <span className="of-ema_9">EMA 9</span> <span className="of-ema_21">EMA 21</span>{" "}
      {chart?.lines_known === false ? "The lines are not there at the moment. " : ""}
      <a href="https://www.tradingview.com/" rel="noreferrer">
        Charts by TradingView
      </a>
    </p>
  );
}

/** The answer, and what events told behind it. Asked anew behind each snapshot: events may have been missed. */
function useSeries(instrument: string | null, { timeframe, day }: Choice, snapshots: number) {
  const key = `${instrument} ${timeframe} ${day}`;
  const answer = useChart(instrument, timeframe, day, snapshots);
  const [heard, setHeard] = useState({ key, series: EMPTY });
  const hear = (told: { instrument: string; timeframe: string }, change: (series: Series) => Series): void => {
    if (told.instrument !== instrument || told.timeframe !== timeframe || day !== null) return;
    setHeard((before) => ({ key, series: change(before.key === key ? before.series : EMPTY) }));
  };
  useEvent("candle", (told) => hear(told, (series) => withBar(series, told)));
  useEvent("lines", (told) => hear(told, (series) => withLines(series, told)));
  const chart = answer?.value ?? null;
  const events = heard.key === key ? heard.series : EMPTY;
  const series = useJoined(chart, events);
  return { chart, series, problem: answer?.problem ?? null };
}

function useJoined(chart: Chart | null, events: Series): Series {
  return useMemo(() => (chart ? joined(chart, events) : EMPTY), [chart, events]);
}

function useForming(last: LastPrice | null, bars: readonly Bar[], timeframe: Choice["timeframe"]): Bar | null {
  const [now, setNow] = useState<Bar | null>(null);
  const next = last && forming(now, last, bars, timeframe);
  if (next?.start !== now?.start || next?.high !== now?.high || next?.low !== now?.low || next?.close !== now?.close) setNow(next);
  return next;
}

/** The chart's signals and the viewer's own, with what was told since. */
function marksFor(chart: Chart | null, day: Day | null, instrument: string | null): readonly Mark[] {
  if (!chart || instrument === null) return [];
  if (day === null) return marksOf(chart.signals, chart.own);
  const signals = byId<Signal>([...chart.signals, ...day.market.signals.filter((each) => each.instrument === instrument)]);
  const own: OwnMarks = {
    orders: [...new Map([...chart.own.orders, ...day.own.orders.filter(({ intent }) => intent.instrument === instrument)].map((each) => [each.intent.id, each])).values()],
    trades: byId([...chart.own.trades, ...day.own.trades.filter(({ fill }) => fill.instrument === instrument)]),
    exits: byId([...chart.own.exits, ...day.own.exits.filter((each) => each.instrument === instrument)]),
  };
  return marksOf(signals, own);
}

function byId<T extends { readonly id: string }>(all: readonly T[]): readonly T[] {
  return [...new Map(all.map((each) => [each.id, each])).values()];
}

/** What guards an open position, as lines. */
function levelsOf(day: Day, instrument: string): readonly Level[] {
  const position = day.own.positions.find((each) => each.instrument === instrument && each.net !== 0);
  if (!position) return [];
  const { stop, target } = exitsOf(position, day);
  const levels: Level[] = [];
  if (stop !== null) levels.push({ name: "stop", paise: stop, tone: "bad" });
  if (target !== null) levels.push({ name: "target", paise: target, tone: "good" });
  return levels;
}

/** Held first, then signalled, then shortlisted, then decided about; the one asked for in any case. */
function sharesOf(day: Day | null, asked: string | null): readonly Share[] {
  const found = new Map<string, string>();
  const add = (instrument: string, symbol: string | undefined): void => {
    if (!found.has(instrument)) found.set(instrument, symbol ?? instrument);
  };
  if (day) {
    const { symbols } = day.market;
    for (const { instrument, net } of day.own.positions) if (net !== 0) add(instrument, symbols[instrument]);
    for (const { intent } of day.own.orders.toReversed()) add(intent.instrument, intent.symbol);
    for (const { instrument, symbol } of day.market.decisions.toReversed()) add(instrument, symbol);
    for (const { instrument, symbol } of day.market.shortlist?.entries ?? []) add(instrument, symbol);
    for (const { instrument } of day.market.signals) add(instrument, symbols[instrument]);
  }
  if (asked !== null) add(asked, day?.market.symbols[asked]);
  return [...found].map(([instrument, symbol]) => ({ instrument, symbol }));
}

function addressOf({ instrument, timeframe, day }: Choice): string {
  const parts = { ...(instrument && { instrument }), timeframe, ...(day && { day }) };
  return new URLSearchParams(parts).toString();
}
