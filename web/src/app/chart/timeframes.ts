// Lengths of a bar that one can choose.
import type { Timeframe } from "@/lib/messages";

export const TIMEFRAMES = ["1m", "3m", "5m", "15m", "30m", "60m"] as const satisfies readonly Timeframe[];
