// The day of a signed-in user: what it earned, what is open, what was ordered, and a way to stop.
import { redirect } from "next/navigation";
import { TodayView } from "@/app/today/view";
import type { Account } from "@/lib/account";
import { databaseProblem } from "@/lib/answers";
import { firstToday } from "@/lib/gateway/first";
import { signedIn, supabase } from "@/lib/supabase";
import { noticeOf, wordsOf } from "@/lib/words";

export const metadata = { title: "Today · ATS" };

export default async function TodayPage({ searchParams }: PageProps<"/today">) {
  const client = await supabase();
  const first = firstToday();
  const user = await signedIn(client);
  if (user === "session_ended") redirect("/sign-in");
  const { data, error } = await client.rpc("own_account");
  const { notice } = await searchParams;
  const told = error ? wordsOf(databaseProblem(error).code) : noticeOf(typeof notice === "string" ? notice : undefined);
  return <TodayView account={error ? null : (data as Account)} first={await first} told={told} />;
}
