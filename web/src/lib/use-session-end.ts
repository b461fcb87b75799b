// Whoever's session has ended is asked to sign in again.
"use client";
import { useRouter } from "next/navigation";
import { useEffect } from "react";

/** `problem` is the code of the last answer; null where it was a good one. */
export function useSessionEnd(problem: string | null): void {
  const router = useRouter();
  useEffect(() => {
    if (problem === "session_ended") router.replace("/sign-in?notice=session_ended");
  }, [problem, router]);
}
