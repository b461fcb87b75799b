// The front door leads to the account, which sends those without a session to sign in.
import { redirect } from "next/navigation";

export default function Home(): never {
  redirect("/account");
}
