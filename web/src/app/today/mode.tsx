// Paper or real money, and whether anybody is there to place orders: as the order workers reported it.
import type { Platform } from "@/lib/account";
import { grouped } from "@/lib/money";
import { inIndia } from "@/lib/time";

export function ModePart({ platform }: { platform: Platform | null }) {
  const live = platform !== null && platform.mode !== "paper";
  return (
    <p className={live ? "mode live" : "mode"}>
      <strong>{platform ? modeName(platform) : "Mode unknown"}</strong>
      <span>
        {platform ? whatItMeans(platform) : NOBODY}
        {platform && !platform.alive && ` No order worker is running; the last one reported at ${inIndia(platform.reported_at)}.`}
      </span>
    </p>
  );
}

const NOBODY = "No order worker has reported yet, so no order is placed.";

export function modeName({ mode }: Platform): string {
  return mode === "paper" ? "Paper mode" : "Live mode";
}

export function whatItMeans({ mode, admits_this_account: admitted }: Platform): string {
  if (mode === "paper") return "Orders go to a simulator. No real money moves.";
  if (admitted) return "Orders are placed at Dhan with real money.";
  const others = mode === "family" ? "the operator's declared family only" : "the operator's own only";
  return `Orders are placed with real money, but not for your account: this mode trades ${others}.`;
}

/** The limits of every order and day, and what they add up to, as sentences. */
export function limitsInWords({ max_order_value_rupees: value, max_orders_per_day: orders }: Platform): string {
  const total = BigInt(value) * BigInt(orders);
  return (
    `An order is worth at most ₹${grouped(value)}, and there are at most ${orders} orders a day. ` +
    `That makes ₹${grouped(total)} a day at most.`
  );
}
