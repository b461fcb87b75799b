// A user's limits: their names, what holds, how far the user may widen it, and what a person gave as the value the database
// keeps. Pure. What holds of both is the database's word; only the platform's own is added here.
import type { Account, Limits, Platform } from "@/lib/account";
import { grouped } from "@/lib/money";

export type Name = keyof Limits;
export type Value = number | readonly string[] | boolean | null;
type List = "segments" | "products";
export type Amount = Exclude<Name, List | "long_only">;

/** What each limits, in the order in which they are shown. */
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
  long_only: "Short sales",
  segments: "Segments",
  products: "Products",
};

/** The words of each list, and what they are called. */
export const WORDS: Readonly<Record<List, Readonly<Record<string, string>>>> = {
  segments: {
    NSE_EQ: "Shares, NSE",
    BSE_EQ: "Shares, BSE",
    NSE_FNO: "Futures and options, NSE",
    BSE_FNO: "Futures and options, BSE",
    NSE_CURRENCY: "Currencies, NSE",
    BSE_CURRENCY: "Currencies, BSE",
    MCX_COMM: "Commodities, MCX",
  },
  products: { INTRADAY: "Intraday", CNC: "Delivery", MARGIN: "Margin", MTF: "Margin trading facility" },
};

const MINUTES_OF_A_DAY = 1_440; // the most that the database takes

export const NAMES = Object.keys(LIMITS) as readonly Name[];

export function isName(name: unknown): name is Name {
  return typeof name === "string" && Object.hasOwn(LIMITS, name);
}

export function isList(name: Name): name is List {
  return name === "segments" || name === "products";
}

export function isAmount(name: Name): name is Amount {
  return !isList(name) && name !== "long_only";
}

export function inRupees(name: Name): boolean {
  return name.endsWith("_paise");
}

/** The larger is the tighter. */
export function isLeast(name: Name): boolean {
  return name === "stop_out_cooldown_minutes";
}

/** Paise, or a count, of what was typed; null when it is no number that the limit can have. */
export function amountOf(name: Amount, typed: string): number | null {
  const found = /^(\d{1,12})(?:\.(\d{1,2}))?$/.exec(typed.replaceAll(",", "").trim());
  if (!found) return null;
  if (isLeast(name) && Number(found[1]) > MINUTES_OF_A_DAY) return null;
  if (!inRupees(name)) return found[2] === undefined ? Number(found[1]) : null;
  return Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0"));
}

/** Whether it is a value that our page sends. */
export function isValue(name: Name, value: unknown): value is Value {
  if (value === null) return true;
  if (isList(name)) return Array.isArray(value) && value.length <= Object.keys(WORDS[name]).length && value.every((word) => typeof word === "string" && Object.hasOwn(WORDS[name], word));
  if (name === "long_only") return value === true;
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && (!isLeast(name) || value <= MINUTES_OF_A_DAY);
}

/** Whether `to` allows what `from` forbids; null forbids nothing. */
export function isWider(name: Name, to: Value, from: Value): boolean {
  if (name === "long_only") return from === true && to !== true;
  if (from === null) return false;
  if (to === null) return true;
  if (Array.isArray(to) && Array.isArray(from)) return to.some((word) => !from.includes(word));
  return isLeast(name) ? to < from : to > from;
}

export interface Standing {
  readonly holds: Value;
  /** The user's choice, which may be wider than the ceiling and holds no more then. */
  readonly own: Value;
  /** How far the user may widen it. */
  readonly ceiling: Value;
  readonly by: "operator" | "platform" | null;
}

/** What holds of one limit, and why. */
export function standing(name: Name, { limits, limits_ceiling, limits_own, platform }: Account): Standing {
  const operators = limits_ceiling?.[name] ?? null;
  const platforms = platform === null ? null : platformsOwn(name, platform, operators);
  const ceiling = platforms !== null && (operators === null || isWider(name, operators, platforms)) ? platforms : operators;
  const held = limits?.[name] ?? null;
  return {
    holds: isWider(name, held, ceiling) ? ceiling : held,
    own: limits_own?.[name] ?? null,
    ceiling,
    by: ceiling === null || (name === "long_only" && ceiling !== true) ? null : ceiling === operators ? "operator" : "platform",
  };
}

/** What holds for everybody; with real money short sales are the operator's to allow. */
function platformsOwn(name: Name, platform: Platform, operators: Value): Value {
  if (name === "max_order_value_paise") return platform.max_order_value_rupees * 100;
  if (name === "max_orders_per_day") return platform.max_orders_per_day;
  return name === "long_only" && operators === null && platform.mode !== "paper" ? true : null;
}

/** Who set the ceiling; null where there is none. */
export function setBy({ by }: Standing): string | null {
  return by === null ? null : by === "operator" ? "set by the operator" : "set for everybody";
}

/** A value as it stands in a sentence, such as `₹1,500.50`, `40` or `Shares, NSE`. */
export function inWords(name: Name, value: Value): string {
  if (name === "long_only") return value === true ? "none" : value === false ? "allowed" : "not set";
  if (value === null) return "not set";
  if (isList(name) && Array.isArray(value)) return value.map((word: string) => WORDS[name][word] ?? word).join("; ") || "none";
  if (!inRupees(name)) return grouped(Number(value));
  const rest = Number(value) % 100;
  return `₹${grouped(Math.floor(Number(value) / 100))}${rest ? `.${String(rest).padStart(2, "0")}` : ""}`;
}

/** What holds, such as `at most 40`. */
export function heldInWords(name: Name, value: Value): string {
  if (name === "long_only") return value === true ? "none" : "allowed";
  if (value === null) return "no limit";
  if (isList(name)) return inWords(name, value);
  return `${isLeast(name) ? "at least" : "at most"} ${inWords(name, value)}`;
}

/** How far the user may widen it, such as `up to ₹50,000, set by the operator`; null without an end. */
export function ceilingInWords(name: Name, now: Standing): string | null {
  const { ceiling } = now;
  const who = setBy(now);
  if (who === null || name === "long_only") return who;
  if (isList(name)) return `at most ${inWords(name, ceiling)}, ${who}`;
  return `${isLeast(name) ? "down" : "up"} to ${inWords(name, ceiling)}, ${who}`;
}
