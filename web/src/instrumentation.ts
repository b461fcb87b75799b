// Runs once when the server starts: it does not serve with half an environment.
import { environment } from "@/lib/env";

export function register(): void {
  if (process.env.NEXT_RUNTIME === "nodejs") environment();
}
