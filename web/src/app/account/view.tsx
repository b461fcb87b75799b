// The connection to Dhan and the user's own limits.
"use client";
import { ConnectionPart } from "@/app/account/connection";
import { LimitsPart } from "@/app/account/limits";
import { useAccount } from "@/app/account/use-account";
import { PassingNotice } from "@/app/notice";
import type { Account } from "@/lib/account";
import type { Notice } from "@/lib/words";

export function AccountView({ first, told }: { first: Account; told: Notice | null }) {
  const { account, act, notice, dismiss } = useAccount(first, told);
  return (
    <>
      <ConnectionPart account={account} act={act} />
      <LimitsPart account={account} act={act} />
      <PassingNotice notice={notice} dismiss={dismiss} />
    </>
  );
}
