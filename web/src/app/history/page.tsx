// The days before: what each earned, how the account went, every fill, and every decision that made no order.
import { redirect } from "next/navigation";
import { FollowedPart } from "@/app/history/followed";
import { DaysPart } from "@/app/history/days";
import { NoticeBox } from "@/app/notice";
import type { Account } from "@/lib/account";
import { databaseProblem } from "@/lib/answers";
import { daysOf, readHistory } from "@/lib/history";
import { signedIn, supabase } from "@/lib/supabase";
import { wordsOf } from "@/lib/words";

export const metadata = { title: "History · ATS" };

export default async function HistoryPage() {
  const client = await supabase();
  const user = await signedIn(client);
  if (user === "session_ended") redirect("/sign-in");
  const [history, account] = await Promise.all([readHistory(client), client.rpc("own_account")]);
  const error = history.error ?? account.error;
  const told = account.data as Account | null;
  return (
    <div className="wide day">
      <div className="title">
        <h1>History</h1>
        {!error && (
          <a href="/history/trades.csv" className="button quiet" download>
            Export as CSV
          </a>
        )}
      </div>
      {error ? (
        <NoticeBox notice={wordsOf(databaseProblem(error).code)} />
      ) : (
        <>
          <DaysPart days={daysOf(history.positions, history.trades)} cut={history.cut} />
          {told && <FollowedPart orders={told.orders} denials={told.denials} />}
        </>
      )}
    </div>
  );
}
