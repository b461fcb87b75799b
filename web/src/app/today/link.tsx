// How long the connection to Dhan lasts; everything else about it is on the account's page.
import Link from "next/link";
import { ConnectionState } from "@/app/account/connection";
import { type Account, connectionState } from "@/lib/account";
import { duration } from "@/lib/time";

export function LinkLine({ account }: { account: Account }) {
  const { connection, now } = account;
  const left = Date.parse(connection?.token_expiry ?? "") - Date.parse(now);
  const held = connectionState(account) === "connected";
  return (
    <p className="link-line">
      <ConnectionState account={account} />
      {held && <span className="soft">{`${duration(left)} left`}</span>}
      <Link href="/account" prefetch={false}>
        {held ? "Connection and limits" : "Connect your Dhan account"}
      </Link>
    </p>
  );
}
