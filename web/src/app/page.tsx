// The front door leads to the day, which sends those without a session to sign in.
import { redirect } from "next/navigation";

export default function Home(): never {
  redirect("/today");
}
