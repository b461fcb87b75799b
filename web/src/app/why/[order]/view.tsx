// One order from the tick to the fill, as a story: the same sentences that an operator reads.
"use client";
import Link from "next/link";
import { type Chapter, chaptersOf, IN_SHORT, roleInWords } from "@/app/why/[order]/chapters";
import { useWhy } from "@/lib/gateway/hooks";
import type { Why, WhyStep } from "@/lib/gateway/views";
import { dayInWords, momentOf, seconds } from "@/lib/time";
import { useSessionEnd } from "@/lib/use-session-end";
import { wordsOf } from "@/lib/words";

const UNKNOWN = "You have no order of this name in the last days. An order of longer ago is in the record, which the operator can read.";

export function WhyView({ order }: { order: string }) {
  const answer = useWhy(order);
  const problem = answer?.problem ?? null;
  useSessionEnd(problem);
  const why = answer?.value ?? null;
  return (
    <div className="wide story" aria-busy={answer === null}>
      <div className="title">
        <h1>{why ? `Why ${why.symbol}` : "Why"}</h1>
        <p className="soft">{why ? dayInWords(why.trading_date) : " "}</p>
      </div>
      {answer === null && <Waiting />}
      {problem !== null && <p className="card soft">{problem === "not_known" ? UNKNOWN : wordsOf(problem).text}</p>}
      {why && <Told why={why} />}
    </div>
  );
}

function Waiting() {
  return (
    <>
      <p className="unseen" role="status">
        The story is being read.
      </p>
      <div className="card waiting skeleton" />
      <div className="card waiting skeleton" />
    </>
  );
}

function Told({ why }: { why: Why }) {
  const short = why.steps.find(({ role }) => role === IN_SHORT);
  return (
    <>
      {short && (
        <section aria-labelledby="short" className="card short">
          <h2 id="short">In short</h2>
          <p>{short.text}</p>
          {short.details.map((line) => (
            <p key={line}>{line}</p>
          ))}
          <p>
            <Link href={`/chart?instrument=${encodeURIComponent(why.instrument)}&day=${why.trading_date}`} prefetch={false}>
              On the chart
            </Link>
          </p>
        </section>
      )}
      {why.missing.map((line) => (
        <p key={line} className="card warn">
          Not recorded: {line}
        </p>
      ))}
      {chaptersOf(why).map((chapter) => (
        <ChapterPart key={chapter.title} chapter={chapter} />
      ))}
    </>
  );
}

function ChapterPart({ chapter: { title, words, steps } }: { chapter: Chapter }) {
  const name = title.toLowerCase().replaceAll(" ", "-");
  return (
    <section aria-labelledby={name} className="card">
      <h2 id={name}>{title}</h2>
      <p className="soft">{words}</p>
      <ol className="steps">
        {steps.map((step, number) => (
          <Step key={number} step={step} />
        ))}
      </ol>
    </section>
  );
}

function Step({ step: { role, text, at, details, sections } }: { step: WhyStep }) {
  return (
    <li>
      <p className="role">
        <strong>{roleInWords(role)}</strong>
        {at !== null && (
          <time dateTime={momentOf(at)} title="when it was written">
            {seconds(at)}
          </time>
        )}
      </p>
      <p>{text}</p>
      {details.length > 0 && (
        <ul className="details">
          {details.map((line, number) => (
            <li key={number}>{line}</li>
          ))}
        </ul>
      )}
      {sections.map(({ title, lines }) => (
        <details key={title}>
          <summary>{title}</summary>
          <ul className="details">
            {lines.map((line, number) => (
              <li key={number}>{line}</li>
            ))}
          </ul>
        </details>
      ))}
    </li>
  );
}
