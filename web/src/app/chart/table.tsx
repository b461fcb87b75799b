// The same bars in numbers, for whoever cannot or would rather not look at candles. Filled when it is opened.
"use client";
import { useState } from "react";
import { barAt, type Mark } from "@/app/chart/marks";
import type { Bar, LinePoint } from "@/lib/gateway/views";
import { grouped, price } from "@/lib/money";
import { clock, momentOf } from "@/lib/time";

interface Props {
  readonly name: string;
  readonly bars: readonly Bar[];
  readonly lines: readonly LinePoint[];
  readonly marks: readonly Mark[];
}

export function BarsTable({ name, bars, lines, marks }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <details className="card" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>The bars in numbers</summary>
      {open && <Rows name={name} bars={bars} lines={lines} marks={marks} />}
    </details>
  );
}

function Rows({ name, bars, lines, marks }: Props) {
  const points = new Map(lines.map(({ start, values }) => [start, values]));
  const happened = new Map<number, Mark[]>();
  for (const mark of marks) happened.set(barAt(bars, mark.at), [...(happened.get(barAt(bars, mark.at)) ?? []), mark]);
  const line = (start: number, of: string): string => {
    const value = points.get(start)?.[of];
    return value === undefined ? "–" : price(Math.round(value));
  };
  return (
    <div className="scrolled" tabIndex={0} role="region" aria-label={`Bars of ${name}`}>
      <table>
        <caption className="unseen">Bars of {name}, newest first; prices in rupees</caption>
        <thead>
          <tr>
            {["From", "Open", "High", "Low", "Close", "Volume", "VWAP", "EMA 9", "EMA 21", "What happened"].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {bars
            .map((bar, number) => (
              <tr key={bar.start}>
                <th scope="row">{clock(momentOf(bar.start))}</th>
                {[bar.open, bar.high, bar.low, bar.close].map((paise, at) => (
                  <td key={at}>{price(paise)}</td>
                ))}
                <td>{grouped(bar.volume)}</td>
                <td>{line(bar.start, "vwap")}</td>
                <td>{line(bar.start, "ema_9")}</td>
                <td>{line(bar.start, "ema_21")}</td>
                <td className="text">{(happened.get(number) ?? []).map(({ title }) => title).join(". ")}</td>
              </tr>
            ))
            .reverse()}
        </tbody>
      </table>
    </div>
  );
}
