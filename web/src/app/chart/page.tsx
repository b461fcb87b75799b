// The chart: which share, bar and day stand in the address, so that a chart can be linked to.
import { redirect } from "next/navigation";
import { ChartView } from "@/app/chart/view";
import { TIMEFRAMES } from "@/app/chart/timeframes";
import { firstToday } from "@/lib/gateway/first";
import { signedIn, supabase } from "@/lib/supabase";
import "./chart.css";

export const metadata = { title: "Chart · ATS" };

export default async function ChartPage({ searchParams }: PageProps<"/chart">) {
  const first = firstToday();
  const user = await signedIn(await supabase());
  if (user === "session_ended") redirect("/sign-in");
  const { instrument, timeframe, day } = await searchParams;
  const asked = {
    instrument: matching(instrument, /^[A-Z_]{2,12}:\d{1,9}$/),
    timeframe: TIMEFRAMES.find((each) => each === timeframe) ?? "1m",
    day: matching(day, /^\d{4}-\d\d-\d\d$/),
  };
  return <ChartView first={await first} asked={asked} />;
}

function matching(text: string | string[] | undefined, form: RegExp): string | null {
  return typeof text === "string" && form.test(text) ? text : null;
}
