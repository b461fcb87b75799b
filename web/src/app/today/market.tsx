// One line on how fresh the page is: live, closed, mute, or cut off. It never changes its height.
"use client";
import { useNow } from "@/lib/use-now";
import type { Day } from "@/lib/gateway/day";
import type { Live } from "@/lib/gateway/stream";
import type { Feed } from "@/lib/gateway/views";
import { seconds } from "@/lib/time";
import { wordsOf } from "@/lib/words";

interface Said {
  readonly tone: "good" | "warn" | "bad" | "soft";
  readonly badge: string;
  readonly text: string;
}

export function MarketLine({ live }: { live: Live }) {
  const now = useNow();
  const { tone, badge, text } = freshness(live, live.day !== null && isClosed(live.day, now));
  return (
    <p className="freshness">
      <span className={tone === "soft" ? "badge" : `badge ${tone}`} role="status">
        {badge}
      </span>
      <span className="soft">{text}</span>
    </p>
  );
}

/** Whether the market is closed at `now`, UTC ns. In a replay the clock of the feed alone says it. */
function isClosed({ market, prices }: Day, now: number): boolean {
  const { opens, closes, clock, replayed } = market;
  if (opens === null || closes === null) return false;
  const reached = Math.max(clock, latest(prices) ?? 0, replayed ? 0 : now);
  return reached >= closes || (!replayed && reached < opens);
}

/** How fresh the figures are, in words; the worst first. */
function freshness({ status, problem, day }: Live, closed: boolean): Said {
  const until = day && latest(day.prices);
  if (problem === "gateway_starting") return { tone: "soft", badge: "Starting", text: wordsOf(problem).text };
  if (status === "away") return { tone: "bad", badge: "Cut off", text: cutOff(problem, until) };
  if (day === null) return { tone: "soft", badge: "Connecting", text: "Live figures arrive in a moment." };
  if (status === "stale") return { tone: "warn", badge: "Stale", text: `The line broke. ${asOf(until)} Trying again.` };
  if (closed) return { tone: "soft", badge: "Market closed", text: asOf(until) };
  if (day.market.feeds.length === 0) return { tone: "soft", badge: "No data yet", text: "No market data came in yet." };
  const mute = day.market.feeds.filter(isMute);
  if (mute.length === day.market.feeds.length)
    return { tone: "bad", badge: "Market data mute", text: `Nothing comes in from the exchange. ${asOf(until)}` };
  return { tone: "good", badge: "Live", text: until === null ? "Prices arrive as they change." : `Last price at ${seconds(until)} IST.` };
}

const MUTE: readonly string[] = ["stale", "disconnected", "stopped"];

function isMute({ state }: Feed): boolean {
  return MUTE.includes(state);
}

function latest(prices: Readonly<Record<string, { readonly at: number }>>): number | null {
  const moments = Object.values(prices).map(({ at }) => at);
  return moments.length > 0 ? Math.max(...moments) : null;
}

function asOf(until: number | null): string {
  return until === null ? "" : `Prices are of ${seconds(until)} IST.`;
}

function cutOff(problem: string | null, until: number | null): string {
  return `${wordsOf(problem ?? "gateway_away").text} ${asOf(until)}`.trim();
}
