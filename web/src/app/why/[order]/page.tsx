// Why one order of the viewer's was made, and what came of it.
import { notFound, redirect } from "next/navigation";
import { WhyView } from "@/app/why/[order]/view";
import { signedIn, supabase } from "@/lib/supabase";
import "./why.css";

export const metadata = { title: "Why · ATS" };

export default async function WhyPage({ params }: PageProps<"/why/[order]">) {
  const { order } = await params;
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(order)) notFound();
  const user = await signedIn(await supabase());
  if (user === "session_ended") redirect("/sign-in");
  return <WhyView order={order} />;
}
