// One decision: what was decided, what spoke for and against it, and what became of it for the viewer.
import Link from "next/link";
import { Outcome } from "@/app/outcome";
import { Side } from "@/app/side";
import type { Day } from "@/lib/gateway/day";
import { approvalInWords, stateOf } from "@/lib/gateway/order";
import type { DecisionStory, OwnOrder } from "@/lib/gateway/views";
import type { Approval, Decision, Report } from "@/lib/messages";
import { grouped, price, rupees } from "@/lib/money";
import { analystInWords, failureOf, labelInWords, labelWithin, originInWords } from "@/lib/thinking";
import { momentOf, seconds } from "@/lib/time";

interface Props {
  readonly story: DecisionStory;
  readonly order: OwnOrder | null;
  readonly day: Day | null;
}

export function DecisionCard({ story: { decision, signal, reports, approval: told }, order, day }: Props) {
  const approval = day?.market.approvals.find(({ decision_id: id }) => id === decision.id)?.approval ?? told;
  const { action, symbol, confidence, reasoning } = decision;
  const failed = failureOf(decision);
  return (
    <article id={decision.id} aria-labelledby={`of-${decision.id}`} className="card decision">
      <div className="head">
        <h3 id={`of-${decision.id}`}>
          <Side side={action} /> {symbol}
        </h3>
        <time dateTime={momentOf(decision.event_time)}>{seconds(decision.event_time)}</time>
      </div>
      <p>{failed ?? reasoning}</p>
      <p className="soft">
        {originInWords(decision)}
        {failed === null && `, ${confidence}\u00a0% sure`}
        {signal && `. Asked because ${labelWithin(signal.rule)} pointed ${signal.direction === "BULLISH" ? "up" : "down"}`} at{" "}
        {rupees(decision.reference_price)}.
      </p>
      {reports.length > 0 && <Opinions action={action} reports={reports} />}
      <Became decision={decision} order={order} approval={approval} day={day} />
    </article>
  );
}

const HEADS: Readonly<Record<Decision["action"], readonly [string, string]>> = {
  BUY: ["Spoke for it", "Spoke against it"],
  SELL: ["Spoke for it", "Spoke against it"],
  HOLD: ["Pointed up", "Pointed down"],
};

/** A report speaks for buying where its score is above nought, for selling where it is below. */
function Opinions({ action, reports }: { action: Decision["action"]; reports: readonly Report[] }) {
  const sign = action === "SELL" ? -1 : 1;
  const [pro, contra] = HEADS[action];
  const sides = [
    { head: pro, tone: "good", found: reports.filter(({ score }) => score * sign > 0) },
    { head: contra, tone: "bad", found: reports.filter(({ score }) => score * sign <= 0) },
  ];
  return (
    <div className="opinions">
      {sides.map(({ head, tone, found }) => (
        <div key={head}>
          <h4 className={tone}>{head}</h4>
          {found.length === 0 ? <p className="soft">Nothing.</p> : found.map((report) => <Opinion key={report.id} report={report} />)}
        </div>
      ))}
    </div>
  );
}

function Opinion({ report: { agent_type, score, confidence, summary, data } }: { report: Report }) {
  const facts = Object.entries(data).flatMap(([name, value]) => {
    const told = toldOf(value);
    return told === "" ? [] : [[labelInWords(name), told] as const];
  });
  return (
    <div className="opinion">
      <p>
        <strong>{analystInWords(agent_type)}</strong> <span className="soft">{`${scoreInWords(score)}, ${confidence}\u00a0% sure`}</span>
      </p>
      <svg className="score" viewBox="-100 0 200 6" preserveAspectRatio="none" aria-hidden="true">
        <rect className="whole" x="-100" width="200" y="2" height="2" />
        <rect className={score >= 0 ? "up" : "down"} x={Math.min(0, score)} width={Math.abs(score)} y="0" height="6" />
      </svg>
      <p>{summary}</p>
      {facts.length > 0 && (
        <details>
          <summary>What it looked at</summary>
          <dl className="facts-of">
            {facts.map(([name, told]) => (
              <div key={name}>
                <dt className="soft">{name}</dt>
                <dd>{told}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </div>
  );
}

function scoreInWords(score: number): string {
  if (score === 0) return "leans neither way";
  const size = Math.abs(score);
  return `${size >= 60 ? "clearly" : size >= 25 ? "rather" : "slightly"} ${score > 0 ? "up" : "down"} (${score > 0 ? "+" : "\u2212"}${size})`;
}

/** A value of a report's own as text; nested ones in a line. */
function toldOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(toldOf).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, each]) => `${labelInWords(name)} ${toldOf(each)}`).join(", ");
  return typeof value === "string" ? labelInWords(value) : String(value);
}

function Became({ decision, order, approval, day }: { decision: Decision; order: OwnOrder | null; approval: Approval | null; day: Day | null }) {
  const chart = `/chart?instrument=${encodeURIComponent(decision.instrument)}`;
  const state = order && stateOf(order, day?.own.broker_orders ?? []);
  const asked = approval && approvalInWords(approval);
  return (
    <div className="became">
      {order && state ? (
        <>
          <p>
            You: {order.intent.side} {grouped(order.intent.quantity)} at {price(order.intent.price)} or better
          </p>
          <Outcome state={state} />
        </>
      ) : asked ? (
        <Outcome state={asked} />
      ) : (
        <p className="outcome none">{decision.action === "HOLD" ? "Nothing was traded." : "You got no order from it."}</p>
      )}
      <p className="links">
        {order && (
          <Link href={`/why/${order.intent.id}`} prefetch={false}>
            Why, step by step<span className="unseen"> of {decision.symbol}</span>
          </Link>
        )}
        <Link href={chart} prefetch={false}>
          On the chart<span className="unseen">: {decision.symbol}</span>
        </Link>
      </p>
    </div>
  );
}
