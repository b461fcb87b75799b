// What the day earned so far, after everything it cost.
import { isWaiting, type Live } from "@/lib/gateway/stream";
import type { OwnResult } from "@/lib/gateway/views";
import { rupees, signedRupees } from "@/lib/money";

export function ResultPart({ live }: { live: Live }) {
  const result = live.day?.own.result ?? null;
  const waiting = isWaiting(live);
  return (
    <section aria-labelledby="result" aria-busy={waiting} className="card result">
      <div>
        <h2 id="result">Profit and loss</h2>
        <p className={`figure ${toneOf(result?.after_everything ?? null)}`}>
          {waiting ? <Skeleton /> : amount(result?.after_everything ?? null, true)}
        </p>
        <p className="soft">{result && result.after_everything === null ? whyUnknown(result) : "after charges and thinking"}</p>
      </div>
      <dl className="parts">
        <Part name="Closed" paise={result?.realised ?? null} signed waiting={waiting} />
        <Part name="Open" paise={result?.unrealised ?? null} signed waiting={waiting} />
        <Part name="Charges" paise={result?.charges ?? null} waiting={waiting} />
        <Part name="Thinking" paise={result?.thinking ?? null} waiting={waiting} />
      </dl>
    </section>
  );
}

function Part({ name, paise, signed = false, waiting }: { name: string; paise: number | null; signed?: boolean; waiting: boolean }) {
  return (
    <div>
      <dt className="soft">{name}</dt>
      <dd className={signed ? toneOf(paise) : undefined}>{waiting ? <Skeleton /> : amount(paise, signed)}</dd>
    </div>
  );
}

function amount(paise: number | null, signed: boolean): string {
  if (paise === null) return "–";
  return signed ? signedRupees(paise) : rupees(paise);
}

/** A grey bar in the place of a figure that is on its way. */
export function Skeleton() {
  return (
    <span className="skeleton">
      <span className="unseen">on its way</span>
    </span>
  );
}

export function toneOf(paise: number | null): "good" | "bad" | "" {
  if (paise === null || paise === 0) return "";
  return paise > 0 ? "good" : "bad";
}

function whyUnknown({ unrealised }: OwnResult): string {
  return unrealised === null ? "the price of something you hold is not known yet" : "what the fills cost is not known yet";
}
