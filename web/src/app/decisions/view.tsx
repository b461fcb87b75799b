// The shortlist and the decisions of the day, newest first, as they come.
"use client";
import { DecisionCard } from "@/app/decisions/card";
import { ShortlistPart } from "@/app/decisions/shortlist";
import { useStories } from "@/app/decisions/use-stories";
import { MarketLine } from "@/app/today/market";
import { useLive } from "@/lib/gateway/hooks";
import { isWaiting } from "@/lib/gateway/stream";
import type { Today } from "@/lib/gateway/views";
import { dayInWords } from "@/lib/time";
import { useSessionEnd } from "@/lib/use-session-end";
import { wordsOf } from "@/lib/words";

export function DecisionsView({ first }: { first: Today | string }) {
  const live = useLive(first);
  const { day } = live;
  useSessionEnd(live.problem);
  const newest = day?.market.decisions.at(-1)?.id ?? "";
  const { stories, more, problem, earlier } = useStories(`${newest} ${live.snapshots}`);
  const orders = new Map(day?.own.orders.map((order) => [order.intent.decision_id, order]));
  const waiting = stories === null && problem === null;

  return (
    <div className="wide">
      <div className="title">
        <h1>Decisions</h1>
        <p className="soft">{day?.market.trading_date ? dayInWords(day.market.trading_date) : "No trading day was told yet"}</p>
      </div>
      <MarketLine live={live} />
      <div className="beside">
        <ShortlistPart shortlist={day?.market.shortlist ?? null} waiting={isWaiting(live)} known={day !== null} />
        <section aria-labelledby="decided" aria-busy={waiting} className="decided">
          <h2 id="decided">Decided today</h2>
          {waiting && [1, 2].map((each) => <div key={each} className="card waiting skeleton" />)}
          {problem !== null && <p className="card soft">{wordsOf(problem).text}</p>}
          {stories?.length === 0 && <p className="card soft">Nothing was decided yet. Each decision appears here by itself, with what spoke for and against it.</p>}
          {stories?.map((story) => (
            <DecisionCard key={story.decision.id} story={story} order={orders.get(story.decision.id) ?? story.order} day={day} />
          ))}
          {more && (
            <button type="button" className="quiet" onClick={earlier}>
              Show earlier ones
            </button>
          )}
        </section>
      </div>
    </div>
  );
}
