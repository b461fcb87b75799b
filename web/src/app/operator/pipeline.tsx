// What flows, and how fast.
"use client";
import type { Console } from "@/lib/gateway/views";
import { grouped, rupees } from "@/lib/money";

export function PipelinePart({ told }: { told: Console | null }) {
  const pipeline = told?.pipeline ?? null;
  const decided = Object.entries(pipeline?.decisions ?? {});
  const latency = pipeline?.bar_latency ?? null;
  return (
    <section aria-labelledby="pipeline" className="card">
      <div className="head">
        <h2 id="pipeline">Pipeline</h2>
      </div>
      <dl className="parts">
        <Figure name="Ticks a second" value={pipeline && grouped(Math.round(pipeline.ticks_per_second))} />
        <Figure name="Bar latency" value={pipeline && (latency === null ? "no bar lately" : `${latency.p99_ms.toFixed(0)} ms`)} note={latency === null ? "p99" : `p99 · p50 ${latency.p50_ms.toFixed(0)} ms`} />
        <Figure name="Decisions" value={pipeline && String(decided.reduce((sum, [, count]) => sum + count, 0))} note={decided.map(([action, count]) => `${count} ${action}`).join(", ")} />
        <Figure name="Safety net" value={pipeline && (pipeline.failsafe_percent === null ? "–" : `${pipeline.failsafe_percent.toFixed(1)} %`)} note="of the decisions" />
        <Figure name="Thinking" value={pipeline && rupees(pipeline.thinking)} note="today" />
        {Object.entries(pipeline?.lags ?? {}).map(([group, waiting]) => (
          <Figure key={group} name={group} value={grouped(waiting)} note="records wait" />
        ))}
      </dl>
    </section>
  );
}

function Figure({ name, value, note }: { name: string; value: string | null; note?: string | undefined }) {
  return (
    <div>
      <dt className="soft">{name}</dt>
      <dd>
        {value ?? <span className="skeleton" />}
        {note && <span className="note">{note}</span>}
      </dd>
    </div>
  );
}
