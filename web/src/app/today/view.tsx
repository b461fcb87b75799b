// Today: figures from the gateway as they change, the switch and the halt from the database.
"use client";
import { useAccount } from "@/app/account/use-account";
import { PassingNotice } from "@/app/notice";
import { ChecksPart } from "@/app/today/checks";
import { LinkLine } from "@/app/today/link";
import { MarketLine } from "@/app/today/market";
import { ModePart } from "@/app/today/mode";
import { OrdersPart } from "@/app/today/orders";
import { PositionsPart } from "@/app/today/positions";
import { ResultPart } from "@/app/today/result";
import { StopPart } from "@/app/today/stop";
import { SwitchPart } from "@/app/today/switch";
import type { Account } from "@/lib/account";
import { useLive } from "@/lib/gateway/hooks";
import type { Today } from "@/lib/gateway/views";
import { dayInWords } from "@/lib/time";
import { useSessionEnd } from "@/lib/use-session-end";
import type { Notice } from "@/lib/words";

interface Props {
  readonly account: Account | null;
  /** What the gateway told the server of the page, or the code of why it did not. */
  readonly first: Today | string;
  readonly told: Notice | null;
}

export function TodayView({ account: before, first, told }: Props) {
  const live = useLive(first);
  const own = live.day?.own ?? null;
  const { account, act, notice, dismiss } = useAccount(before, told, `${own?.session?.id} ${own?.preflight?.id}`);
  useSessionEnd(live.problem);

  return (
    <div className="wide day">
      <div className="title">
        <h1>Today</h1>
        <p className="soft">{live.day?.market.trading_date ? dayInWords(live.day.market.trading_date) : "No trading day was told yet"}</p>
      </div>
      <MarketLine live={live} />
      {account && <ModePart platform={account.platform} />}
      <ResultPart live={live} />
      <div className="side-by-side">
        <div className="column">
          {account && (
            <SwitchPart account={account} act={act}>
              <LinkLine account={account} />
            </SwitchPart>
          )}
          {account && <ChecksPart account={account} />}
          <StopPart account={account} open={own?.positions.filter(({ net }) => net !== 0).length ?? null} act={act} />
        </div>
        <div className="column">
          <PositionsPart live={live} />
          <OrdersPart live={live} />
        </div>
      </div>
      <PassingNotice notice={notice} dismiss={dismiss} />
    </div>
  );
}
