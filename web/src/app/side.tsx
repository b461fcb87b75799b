// Which way: to buy, to sell, or to hold.
import type { Action } from "@/lib/messages";

export function Side({ side }: { side: Action }) {
  return <span className={`side ${side.toLowerCase()}`}>{side}</span>;
}
