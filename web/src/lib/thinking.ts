// How a decision came about, in words: who made it, and why thinking ended without an answer.
import { grouped, rupees } from "@/lib/money";
import type { AgentType, Decision, Origin } from "@/lib/messages";

const ORIGINS: Readonly<Record<Origin, string>> = {
  committee: "Decided by the committee of models",
  rules: "Decided by plain rules",
  failsafe: "Nothing done, by the safety net",
};

const FAILURES: Readonly<Record<string, string>> = {
  timeout: "The models took too long, so nothing was done.",
  refusal: "A model refused to answer, so nothing was done.",
  unclean: "A model's answer was cut off, so nothing was done.",
  transport: "A model could not be reached, so nothing was done.",
  rejected: "A model's provider refused the question, so nothing was done.",
  budget: "The day's money for thinking was spent, so nothing was done.",
  schema: "A model answered in a form that is not accepted, so nothing was done.",
  wrong_symbol: "A model answered about another share, so nothing was done.",
  replay_mismatch: "A repeated day asked something that was not recorded, so nothing was done.",
  wrong_invalidation: "A model's own level spoke against its opinion, so nothing was done.",
  unknown_headline: "A model counted a headline that it was not shown, so nothing was done.",
  news: "The source of headlines did not answer, so nothing was done.",
  stale: "The signal had grown too old before anybody could think, so nothing was done.",
  internal: "Something failed on our side, so nothing was done.",
};

const ANALYSTS: Readonly<Record<AgentType, string>> = { TECHNICAL: "Price and volume", SENTIMENT: "News" };

/** Who decided. */
export function originInWords({ origin }: Decision): string {
  return Object.hasOwn(ORIGINS, origin) ? ORIGINS[origin] : origin;
}

/** Why there was no usable answer; null where there was one. A code of a later version as it is. */
export function failureOf({ origin, reason_code }: Decision): string | null {
  if (origin !== "failsafe") return null;
  return Object.hasOwn(FAILURES, reason_code) ? (FAILURES[reason_code] ?? null) : `Nothing was done (${reason_code}).`;
}

/** What an analyst looks at. */
export function analystInWords(kind: AgentType): string {
  return Object.hasOwn(ANALYSTS, kind) ? ANALYSTS[kind] : kind;
}

const PRICED = /^(previous_)?(open|high|low|close|[sew]ma_\d+|vwap.*|bollinger_.*|donchian_.*|keltner_.*|supertrend|opening_range_.*|pivot.*|volume_poc|value_area_.*|atr_\d+|macd.*)(@.*)?$/; // as is_price of streams/columns

/** A measure's value: paise as rupees where it is a price, else to two decimals. */
export function measured(name: string, value: number): string {
  if (PRICED.test(name)) return rupees(Math.round(value));
  return Number.isInteger(value) ? grouped(value) : value.toFixed(2);
}

const SHORT = /\b(ema|sma|wma|rsi|vwap|macd|atr|adx|di|cci|mfi|obv|roc)\b/gi;

/** Such as `opening range breakout` or `EMA cross` of `ema_cross`, within a sentence. */
export function labelWithin(label: string): string {
  return label.replaceAll(/[_-]+/g, " ").trim().toLowerCase().replaceAll(SHORT, (short) => short.toUpperCase());
}

/** The same at the begin of one. */
export function labelInWords(label: string): string {
  const words = labelWithin(label);
  return words.charAt(0).toUpperCase() + words.slice(1);
}
