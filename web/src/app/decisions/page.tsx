// What was decided today, and why: everybody's decisions, and what became of them for the viewer.
import { redirect } from "next/navigation";
import { cookies } from "next/headers";
import { DecisionsView } from "@/app/decisions/view";
import { today } from "@/lib/gateway/server";
import { heldToken } from "@/lib/session";
import { signedIn, supabase } from "@/lib/supabase";
import "./decisions.css";

export const metadata = { title: "Decisions · ATS" };

export default async function DecisionsPage() {
  const store = await cookies();
  const first = heldToken((name) => store.get(name)?.value).then((token) => today(token ?? undefined));
  const user = await signedIn(await supabase());
  if (user === "session_ended") redirect("/sign-in");
  return <DecisionsView first={await first} />;
}
