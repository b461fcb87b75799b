// The time of day for what depends on it, coarse enough to draw seldom.
"use client";
import { useSyncExternalStore } from "react";

const STEP_MS = 10_000;

const subscribe = (listener: () => void): (() => void) => {
  const timer = setInterval(listener, STEP_MS);
  return () => clearInterval(timer);
};
const step = (): number => Math.floor(Date.now() / STEP_MS) * STEP_MS * 1e6;
const unknown = (): number => 0;

/** UTC nanoseconds of the last ten seconds' step; 0 on the server. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, step, unknown);
}
