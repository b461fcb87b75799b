// A user's own limits: their names, and what a person typed as the number the database keeps. Pure.
import type { OwnLimits, Platform } from "@/lib/account";

type Name = "max_order_value_paise" | "risk_per_trade_paise" | "max_orders_per_day" | "max_open_positions" | "max_symbol_exposure_paise" | "max_exposure_paise" | "max_daily_loss_paise" | "max_stop_outs_per_day" | "stop_out_cooldown_minutes";

/** What each number limits, in the order in which they are shown. */
export const LIMITS: Readonly<Record<Name, string>> = {
  max_order_value_paise: "Value of an order",
  risk_per_trade_paise: "Loss of an order at its stop",
  max_orders_per_day: "Orders a day",
  max_open_positions: "Positions at a time",
  max_symbol_exposure_paise: "At stake in one share",
  max_exposure_paise: "At stake in all",
  max_daily_loss_paise: "Loss of a day",
  max_stop_outs_per_day: "Stops that trade in a day",
  stop_out_cooldown_minutes: "Minutes before a share is entered again after a stop",
};

const MINUTES_OF_A_DAY = 1_440; // the most that the database takes

export const NAMES = Object.keys(LIMITS) as readonly Name[];

export function isName(name: unknown): name is Name {
  return typeof name === "string" && Object.hasOwn(LIMITS, name);
}

export function inRupees(name: Name): boolean {
  return name.endsWith("_paise");
}

/** The larger is the tighter. */
export function isLeast(name: Name): boolean {
  return name === "stop_out_cooldown_minutes";
}

/** Paise, or a count; null when it is no number that the limit can have. */
export function valueOf(name: Name, typed: string): number | null {
  const found = /^(\d{1,12})(?:\.(\d{1,2}))?$/.exec(typed.replaceAll(",", "").trim());
  if (!found) return null;
  if (isLeast(name) && Number(found[1]) > MINUTES_OF_A_DAY) return null;
  if (!inRupees(name)) return found[2] === undefined ? Number(found[1]) : null;
  return Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0"));
}

/** What holds: the user's own, the platform's, or nothing. In paise where the name says so. */
export function holding(name: Name, own: OwnLimits | null, platform: Platform | null): number | null {
  const mine = own?.[name] ?? null;
  const theirs =
    name === "max_order_value_paise" ? (platform?.max_order_value_rupees ?? NaN) * 100 : name === "max_orders_per_day" ? (platform?.max_orders_per_day ?? NaN) : NaN;
  if (Number.isNaN(theirs)) return mine;
  return mine === null ? theirs : Math.min(mine, theirs);
}
