// Which share, which length of a bar, which day.
"use client";
import { TIMEFRAMES } from "@/app/chart/timeframes";
import type { Timeframe } from "@/lib/messages";
import { dayInWords } from "@/lib/time";

export interface Share {
  readonly instrument: string;
  readonly symbol: string;
}

export interface Choice {
  readonly instrument: string | null;
  readonly timeframe: Timeframe;
  /** Null: the newest. */
  readonly day: string | null;
}

interface Props {
  readonly choice: Choice;
  readonly shares: readonly Share[];
  readonly days: readonly string[];
  readonly choose: (change: Partial<Choice>) => void;
}

export function Picker({ choice, shares, days, choose }: Props) {
  const newest = days.at(-1);
  return (
    <div className="picker">
      <div>
        <label htmlFor="share">Share</label>
        <select id="share" value={choice.instrument ?? ""} onChange={({ target }) => choose({ instrument: target.value })} disabled={shares.length === 0}>
          {shares.length === 0 && <option value="">None yet</option>}
          {shares.map(({ instrument, symbol }) => (
            <option key={instrument} value={instrument}>
              {symbol}
            </option>
          ))}
        </select>
      </div>
      <div>
        <label htmlFor="day">Day</label>
        <select
          id="day"
          value={choice.day ?? newest ?? ""}
          onChange={({ target }) => choose({ day: target.value === newest ? null : target.value })}
          disabled={days.length === 0}
        >
          {days.length === 0 && <option value="">None yet</option>}
          {days.toReversed().map((day) => (
            <option key={day} value={day}>
              {dayInWords(day)}
            </option>
          ))}
        </select>
      </div>
      <fieldset className="segments">
        <legend>Bar</legend>
        {TIMEFRAMES.map((each) => (
          <label key={each}>
            <input type="radio" name="timeframe" value={each} checked={choice.timeframe === each} onChange={() => choose({ timeframe: each })} />
            <span>{each}</span>
          </label>
        ))}
      </fieldset>
    </div>
  );
}
