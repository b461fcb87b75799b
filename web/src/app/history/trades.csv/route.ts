// The user's fills as a file.
import { databaseProblem, nobody, problem } from "@/lib/answers";
import { csvOf, readHistory } from "@/lib/history";
import { signedIn, supabase } from "@/lib/supabase";

export async function GET(): Promise<Response> {
  const client = await supabase();
  const user = await signedIn(client);
  if (typeof user === "string") return nobody(user);
  const { trades, error } = await readHistory(client);
  if (error) {
    const { status, code } = databaseProblem(error);
    return problem(status, code);
  }
  return new Response(csvOf(trades), {
    headers: { "Content-Type": "text/csv; charset=utf-8", "Content-Disposition": 'attachment; filename="ats-trades.csv"' },
  });
}
