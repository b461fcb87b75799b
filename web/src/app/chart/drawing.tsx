// The candles as TradingView's library draws them. Loaded when a chart is shown: it is the largest script of ours.
"use client";
import {
  CandlestickSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  LineStyle,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { barAt, type Mark } from "@/app/chart/marks";
import type { Bar, LinePoint } from "@/lib/gateway/views";
import { price } from "@/lib/money";
import { clock, momentOf } from "@/lib/time";

const IST_SECONDS = 19_800; // the library writes UTC: it is given Indian time as if it were
const LINES = ["vwap", "ema_9", "ema_21"] as const;

export interface Level {
  readonly name: string;
  readonly paise: number;
  readonly tone: "good" | "bad" | "ink";
}

interface Props {
  readonly name: string;
  readonly bars: readonly Bar[];
  readonly lines: readonly LinePoint[];
  readonly forming: Bar | null;
  readonly marks: readonly Mark[];
  readonly levels: readonly Level[];
  readonly pick: (mark: Mark) => void;
}

interface Drawn {
  readonly chart: IChartApi;
  readonly candles: ISeriesApi<"Candlestick">;
  readonly lines: Readonly<Record<(typeof LINES)[number], ISeriesApi<"Line">>>;
  readonly markers: ISeriesMarkersPluginApi<Time>;
}

export default function Drawing({ name, bars, lines, forming, marks, levels, pick }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const theme = useTheme();

  useEffect(() => {
    if (!place.current) return;
    const made = draw(place.current);
    drawn.current = made;
    return () => {
      drawn.current = null;
      made.chart.remove();
    };
  }, [theme]);

  const first = bars[0]?.start;
  useEffect(() => {
    if (!drawn.current) return;
    const { candles, lines: series } = drawn.current;
    candles.setData(bars.map(candle));
    for (const line of LINES) series[line].setData(lines.flatMap((point) => linePoint(point, line)));
  }, [bars, lines, theme]);

  useEffect(() => {
    if (forming) drawn.current?.candles.update(candle(forming));
  }, [forming, bars, theme]);

  useEffect(() => drawn.current?.chart.timeScale().fitContent(), [first, name, theme]);

  useEffect(() => {
    if (drawn.current && place.current) drawn.current.markers.setMarkers(markers(marks, bars, place.current));
  }, [marks, bars, theme]);

  const levelKey = JSON.stringify(levels);
  useEffect(() => {
    if (!drawn.current || !place.current) return;
    const { candles } = drawn.current;
    const root = place.current;
    const made = (JSON.parse(levelKey) as Level[]).map(({ name: title, paise, tone }) =>
      candles.createPriceLine({ price: paise / 100, title, color: colour(root, tone), lineStyle: LineStyle.Dashed, axisLabelVisible: true, lineWidth: 1 }),
    );
    return () => {
      if (drawn.current?.candles === candles) for (const line of made) candles.removePriceLine(line);
    };
  }, [levelKey, theme]);

  useEffect(() => {
    const chart = drawn.current?.chart;
    if (!chart) return;
    const clicked = ({ hoveredObjectId, time }: { hoveredObjectId?: unknown; time?: Time }): void => {
      const mark = marks.find(({ id }) => id === hoveredObjectId) ?? marks.findLast((each) => time !== undefined && shown(bars[barAt(bars, each.at)]?.start ?? 0) === time);
      if (mark) pick(mark);
    };
    chart.subscribeClick(clicked);
    return () => chart.unsubscribeClick(clicked);
  }, [marks, bars, pick, theme]);

  const move = (event: KeyboardEvent): void => {
    const last = bars.length - 1;
    const from = at ?? last + 1;
    const steps: Readonly<Record<string, number>> = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    const to = steps[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const bar = bars[Math.min(last, Math.max(0, to))];
      if (!bar || !drawn.current) return;
      setAt(bars.indexOf(bar));
      drawn.current.chart.setCrosshairPosition(bar.close / 100, shown(bar.start), drawn.current.candles);
    }
    if (event.key === "Enter" && at !== null) {
      const mark = marks.findLast((each) => barAt(bars, each.at) === at);
      if (mark) pick(mark);
    }
  };

  const bar = at === null ? undefined : bars[at];
  return (
    <>
      <div
        ref={place}
        className="canvas"
        role="application"
        aria-label={`${name}, ${bars.length} bars. Left and right arrow read bar by bar, Enter opens what happened in it.`}
        tabIndex={0}
        onKeyDown={move}
        onBlur={() => drawn.current?.chart.clearCrosshairPosition()}
      >
        <span hidden className="of-good good" />
        <span hidden className="of-bad bad" />
        <span hidden className="of-ink" />
        <span hidden className="of-soft soft" />
        <span hidden className="of-edge" />
        <span hidden className="of-sheet" />
        <span hidden className="of-vwap" />
        <span hidden className="of-ema_9" />
        <span hidden className="of-ema_21" />
      </div>
      <p className="unseen" aria-live="polite">
        {bar && barInWords(bar, marks.filter((each) => barAt(bars, each.at) === at))}
      </p>
    </>
  );
}

function barInWords(bar: Bar, marks: readonly Mark[]): string {
  const prices = `open ${price(bar.open)}, high ${price(bar.high)}, low ${price(bar.low)}, close ${price(bar.close)}`;
  return [`${clock(momentOf(bar.start))}: ${prices}`, ...marks.map(({ title }) => title)].join(". ");
}

/** Which theme the system asks for; changes while the page is open. */
function useTheme(): boolean {
  const [dark, setDark] = useState(() => window.matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = window.matchMedia("(prefers-color-scheme: dark)");
    const changed = (): void => setDark(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return dark;
}

/** A colour of the page's own, as it is in the present theme. */
function colour(root: HTMLElement, name: string): string {
  const element = root.querySelector(`.of-${name}`);
  return element ? getComputedStyle(element).color : "gray";
}

function draw(root: HTMLElement): Drawn {
  const of = (name: string): string => colour(root, name);
  const chart = createChart(root, {
    autoSize: true,
    layout: { attributionLogo: false, background: { type: ColorType.Solid, color: of("sheet") }, textColor: of("soft"), fontFamily: getComputedStyle(root).fontFamily },
    grid: { vertLines: { color: of("edge") }, horzLines: { color: of("edge") } },
    crosshair: { mode: CrosshairMode.Magnet, vertLine: { labelBackgroundColor: of("soft") }, horzLine: { labelBackgroundColor: of("soft") } },
    rightPriceScale: { borderColor: of("edge") },
    timeScale: { borderColor: of("edge"), timeVisible: true, secondsVisible: false, tickMarkFormatter: inClock },
    localization: { priceFormatter: (rupees: number) => price(Math.round(rupees * 100)), timeFormatter: inClock },
    handleScroll: { vertTouchDrag: false },
  });
  const candles = chart.addSeries(CandlestickSeries, {
    upColor: of("good"), wickUpColor: of("good"), borderVisible: false, downColor: of("bad"), wickDownColor: of("bad"),
  });
  const line = (name: string): ISeriesApi<"Line"> =>
    chart.addSeries(LineSeries, { color: of(name), lineWidth: 2, priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false });
  return { chart, candles, lines: { vwap: line("vwap"), ema_9: line("ema_9"), ema_21: line("ema_21") }, markers: createSeriesMarkers(candles) };
}

function inClock(time: Time): string {
  return new Date((time as number) * 1_000).toISOString().slice(11, 16);
}

function shown(ns: number): UTCTimestamp {
  return (Math.round(ns / 1e9) + IST_SECONDS) as UTCTimestamp;
}

function candle({ start, open, high, low, close }: Bar) {
  return { time: shown(start), open: open / 100, high: high / 100, low: low / 100, close: close / 100 };
}

function linePoint({ start, values }: LinePoint, name: string) {
  const value = values[name];
  return value === undefined ? [] : [{ time: shown(start), value: value / 100 }];
}

function markers(marks: readonly Mark[], bars: readonly Bar[], root: HTMLElement): SeriesMarker<Time>[] {
  return marks.flatMap((mark): SeriesMarker<Time>[] => {
    const bar = bars[barAt(bars, mark.at)];
    if (!bar || mark.kind === "order") return []; // its fill is there, and its stop and target are lines
    const place = { time: shown(bar.start), id: mark.id, color: colour(root, mark.kind === "exit" ? "ink" : mark.up ? "good" : "bad") };
    if (mark.kind === "signal") return [{ ...place, position: mark.up ? "belowBar" : "aboveBar", shape: "circle", size: 0.6 }];
    if (mark.kind === "exit") return [{ ...place, position: "aboveBar", shape: "square", text: mark.sign }];
    return [{ ...place, position: mark.up ? "belowBar" : "aboveBar", shape: mark.up ? "arrowUp" : "arrowDown", text: mark.sign }];
  });
}
