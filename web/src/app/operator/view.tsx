// One screen for a bad day: what is wrong first, in a room of its own, then what may be done, every user, and what flows. What
// grows by itself stands last, so that nothing moves under the operator's finger.
"use client";
import { PassingNotice } from "@/app/notice";
import { ApprovalsPart } from "@/app/operator/approvals";
import { DeedDialog, useDeed } from "@/app/operator/deed";
import { ActionsPart, DeadLettersPart, HaltsPart, IncidentsPart } from "@/app/operator/happened";
import { PipelinePart } from "@/app/operator/pipeline";
import { ScoresPart } from "@/app/operator/scores";
import { StateBadge, UsersPart } from "@/app/operator/users";
import { useConsole } from "@/app/operator/use-console";
import type { Console } from "@/lib/gateway/views";
import { namesOf, type Trouble, troubles } from "@/lib/operator";
import { dayInWords, seconds } from "@/lib/time";
import { useSessionEnd } from "@/lib/use-session-end";

export function OperatorView({ first }: { first: Console | string }) {
  const { told: held, problem, actions, act, answer, setApprovals, notice, dismiss } = useConsole(first);
  const told = held?.console ?? null;
  const deed = useDeed();
  useSessionEnd(problem);
  const names = namesOf(told?.users ?? []);

  return (
    <div className="wide console">
      <div className="title">
        <h1>Operator</h1>
        <p className="soft">{told === null ? "Nothing was told yet" : heading(told)}</p>
      </div>
      <TroublePart found={troubles(told, problem)} />
      <ApprovalsPart held={held} answer={answer} set={setApprovals} />
      <section aria-labelledby="platform" className="card">
        <div className="head">
          <h2 id="platform">Everybody</h2>
          <StateBadge state={told?.state ?? null} />
        </div>
        <div className="actions">
          <button type="button" className={told?.state === "ACTIVE" ? "grave" : "quiet"} onClick={() => deed.ask({ user: null, name: "everybody", state: told?.state ?? null })}>
            {told?.state === "ACTIVE" ? "Halt everybody" : "Change what everybody may do"}
          </button>
        </div>
      </section>
      <UsersPart told={told} ask={deed.ask} />
      <PipelinePart told={told} />
      <div className="halves">
        <div className="column">
          <HaltsPart told={told} names={names} />
          <ActionsPart actions={actions} names={names} />
        </div>
        <div className="column">
          <IncidentsPart told={told} names={names} />
          <DeadLettersPart told={told} />
        </div>
      </div>
      <ScoresPart />
      <DeedDialog deed={deed} act={act} />
      <PassingNotice notice={notice} dismiss={dismiss} />
    </div>
  );
}

function heading({ operator, trading_date: day, clock }: Console): string {
  const market = clock === 0 ? "the market was not heard" : `market ${seconds(clock)} IST`;
  return [operator, day === null ? null : dayInWords(day), market].filter((each) => each !== null).join(" · ");
}

function TroublePart({ found }: { found: readonly Trouble[] }) {
  return (
    <section aria-labelledby="wrong" className={found.some(({ tone }) => tone === "bad") ? "card wrong" : "card"}>
      <div className="head">
        <h2 id="wrong">{found.length === 0 ? "Nothing is wrong" : "What is wrong"}</h2>
        <span className={found.length === 0 ? "badge good" : "badge"}>{found.length === 0 ? "Good" : found.length}</span>
      </div>
      <div className="troubles" tabIndex={0} role="region" aria-label="What is wrong, worst first" aria-live="polite">
        {/* Drawn anew as a whole: a line has no place of its own, the worst is the first. */}
        <ul key={found.map(({ text }) => text).join()}>
          {found.map(({ tone, text }) => (
            <li key={text} className={tone}>
              {text}
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
