// The connection to Dhan, and the user's limits.
import { redirect } from "next/navigation";
import { AccountView } from "@/app/account/view";
import { NoticeBox } from "@/app/notice";
import type { Account } from "@/lib/account";
import { databaseProblem } from "@/lib/answers";
import { signedIn, supabase } from "@/lib/supabase";
import { noticeOf, wordsOf } from "@/lib/words";

export const metadata = { title: "Your account · ATS" };

export default async function AccountPage({ searchParams }: PageProps<"/account">) {
  const client = await supabase();
  const user = await signedIn(client);
  if (user === "session_ended") redirect("/sign-in");
  if (user === "database_away") return <Unknown code={user} />;
  const { data, error } = await client.rpc("own_account");
  const { notice } = await searchParams;
  return (
    <>
      <div className="title">
        <h1>Your account</h1>
        <form method="post" action="/auth/sign-out" className="who">
          <span>{user.email}</span>
          <button type="submit" className="plain">
            Sign out
          </button>
        </form>
      </div>
      {error ? (
        <NoticeBox notice={wordsOf(databaseProblem(error).code)} />
      ) : (
        <AccountView first={data as Account} told={noticeOf(typeof notice === "string" ? notice : undefined)} />
      )}
    </>
  );
}

function Unknown({ code }: { code: string }) {
  return (
    <>
      <h1>Your account</h1>
      <NoticeBox notice={wordsOf(code)} />
    </>
  );
}
