// How an order stands, marked as good, bad or neither.
import type { OrderState } from "@/lib/gateway/order";

const MARKS: Readonly<Record<OrderState["tone"], string>> = { good: "outcome good", bad: "outcome bad", plain: "outcome none" };

export function Outcome({ state: { tone, text } }: { state: OrderState }) {
  return <p className={MARKS[tone]}>{text}</p>;
}
