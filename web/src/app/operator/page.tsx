// The operator's console: what is wrong, and what can be done about it. Who operates, the database says; everybody else has
// no such page.
import { notFound, redirect } from "next/navigation";
import { OperatorView } from "@/app/operator/view";
import { isOperator } from "@/lib/database";
import { firstConsole, firstToken } from "@/lib/gateway/first";
import "./operator.css";

export const metadata = { title: "Operator · ATS" };

export default async function OperatorPage() {
  const token = await firstToken();
  if (token === undefined) redirect("/sign-in");
  const first = await firstConsole();
  if (first === "session_ended") redirect("/sign-in?notice=session_ended");
  // without a gateway the database still says who may halt
  if (first === "not_known" || (typeof first === "string" && !(await isOperator(token)))) notFound();
  return <OperatorView first={first} />;
}
