// Amounts as a trader in India reads them; the same on server and browser, whatever their locale. Pure.

const MINUS = "\u2212";

/** Indian digit groups of a whole number, such as 12,34,567. */
export function grouped(n: number | bigint): string {
  const digits = String(n);
  const head = digits.slice(0, -3).replace(/\B(?=(\d\d)+$)/g, ",");
  return head ? `${head},${digits.slice(-3)}` : digits;
}

/** Whole paise with both decimals, such as ₹12,34,567.89 or −₹0.05. */
export function rupees(paise: number): string {
  const size = Math.abs(paise);
  return `${paise < 0 ? MINUS : ""}₹${grouped(Math.floor(size / 100))}.${String(size % 100).padStart(2, "0")}`;
}

/** The same with a sign before a gain too, such as +₹1,250.00; nothing before nought. */
export function signedRupees(paise: number): string {
  return paise > 0 ? `+${rupees(paise)}` : rupees(paise);
}

/** A price per unit in paise, without the sign of the currency, such as 2,954.35. */
export function price(paise: number): string {
  return rupees(paise).replace("₹", "");
}

/** Hundredths of a percent of `whole`, such as +1.25 %; the sign only where there is something. */
export function percentOf(part: number, whole: number): string {
  const hundredths = Math.round((part / whole) * 10_000);
  const size = Math.abs(hundredths);
  const sign = hundredths > 0 ? "+" : hundredths < 0 ? MINUS : "";
  return `${sign}${Math.floor(size / 100)}.${String(size % 100).padStart(2, "0")} %`;
}
