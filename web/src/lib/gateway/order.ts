// How an order stands, in words: what we know of it, or what the broker last showed. Pure.
import type { OwnOrder } from "@/lib/gateway/views";
import type { Approval, ObservedOrder } from "@/lib/messages";
import { price } from "@/lib/money";
import { seconds } from "@/lib/time";
import { failureInWords } from "@/lib/words";

export interface OrderState {
  readonly tone: "good" | "bad" | "plain";
  readonly text: string;
}

const good = (text: string): OrderState => ({ tone: "good", text });
const bad = (text: string): OrderState => ({ tone: "bad", text });
const plain = (text: string): OrderState => ({ tone: "plain", text });

/** `broker` are the orders of the day as the broker shows them. */
export function stateOf({ intent, execution }: OwnOrder, broker: readonly ObservedOrder[]): OrderState {
  if (execution === null) return plain("On its way.");
  const why = failureInWords([execution.reason_code, execution.reason].filter(Boolean).join(": "));
  if (execution.outcome === "denied") return plain(`Not sent. ${why}`);
  if (execution.outcome === "rejected") return bad(`Refused by the broker. ${why}`);
  if (execution.outcome === "not_found") return bad(`Not placed. ${why}`);
  const seen = broker.find(({ dhan_order_id: number, leg }) => leg === "entry" && number === execution.dhan_order_id);
  return seen ? atBroker(seen) : good(`Accepted by the broker, order ${execution.dhan_order_id}. ${intent.quantity} ordered.`);
}

/** How a decision stands that needs the operator's yes; null where its orders leave by themselves, or did. */
export function approvalInWords({ state, until }: Approval): OrderState | null {
  if (state === "waiting") return plain(`Waits for the operator’s yes until ${seconds(until)} IST.`);
  if (state === "no") return plain(`Not sent. ${failureInWords("approval_refused")}`);
  return state === "timed_out" ? plain(`Not sent. ${failureInWords("approval_timed_out")}`) : null;
}

function atBroker(order: ObservedOrder): OrderState {
  const { status, status_word: word, quantity, filled = 0, filled_value: value = 0, reason } = order;
  const at = filled > 0 ? ` at ${price(Math.round(value / filled))}` : "";
  switch (status) {
    case "TRADED":
    case "CLOSED":
      return good(`Filled: ${filled} of ${quantity}${at}.`);
    case "PART_TRADED":
      return good(`Partly filled: ${filled} of ${quantity}${at}. The rest waits.`);
    case "TRANSIT":
    case "PENDING":
    case "TRIGGERED":
      return plain(`Waits at the exchange: ${filled} of ${quantity} filled.`);
    case "CANCELLED":
    case "EXPIRED":
      return plain(`${status === "CANCELLED" ? "Cancelled" : "Expired"}: ${filled} of ${quantity} filled${at}.`);
    case "REJECTED":
      return bad(`Refused by the exchange. ${reason ?? ""}`.trim());
    default:
      return plain(`Dhan calls it ${word}: ${filled} of ${quantity} filled.`);
  }
}
