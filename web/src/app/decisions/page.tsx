// What was decided today, and why: everybody's decisions, and what became of them for the viewer.
import { redirect } from "next/navigation";
import { DecisionsView } from "@/app/decisions/view";
import { firstToday } from "@/lib/gateway/first";
import { signedIn, supabase } from "@/lib/supabase";
import "./decisions.css";

export const metadata = { title: "Decisions · ATS" };

export default async function DecisionsPage() {
  const first = firstToday();
  const user = await signedIn(await supabase());
  if (user === "session_ended") redirect("/sign-in");
  return <DecisionsView first={await first} />;
}
