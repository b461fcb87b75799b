// Times as a trader in India reads them. India has one zone and no daylight saving: UTC + 5:30.

const IST_MS = 330 * 60_000;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const two = (n: number): string => String(n).padStart(2, "0");

/** Such as `23 Nov, 09:15 IST`; the same on server and browser, whatever their locale. */
export function inIndia(moment: string): string {
  const ist = new Date(Date.parse(moment) + IST_MS);
  return `${ist.getUTCDate()} ${MONTHS[ist.getUTCMonth()]}, ${clock(moment)} IST`;
}

/** Such as `09:15`, Indian time, where the day stands beside it. */
export function clock(moment: string): string {
  const ist = new Date(Date.parse(moment) + IST_MS);
  return `${two(ist.getUTCHours())}:${two(ist.getUTCMinutes())}`;
}

/** The moment of UTC nanoseconds, as a message tells it. Good to a millisecond. */
export function momentOf(ns: number): string {
  return new Date(ns / 1e6).toISOString();
}

/** Such as `09:15:07`, Indian time, of UTC nanoseconds. */
export function seconds(ns: number): string {
  const moment = momentOf(ns);
  return `${clock(moment)}:${moment.slice(17, 19)}`; // India is half an hour off, so seconds are everybody's
}

/** Such as `Mon, 23 Nov 2026`, of a date such as `2026-11-23`. */
export function dayInWords(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  return `${DAYS[date.getUTCDay()]}, ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

/** Such as `2026-11-23`: the Indian day of a moment. */
export function dayInIndia(moment: string): string {
  return new Date(Date.parse(moment) + IST_MS).toISOString().slice(0, 10);
}

/** Such as `23 h 4 min`; whole minutes, rounded down, so that it never promises more than there is. */
export function duration(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return "less than a minute";
  const hours = Math.floor(minutes / 60);
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

/** Dhan's `expiryTime`, which is Indian time without a zone, as UTC; null when it is not a time. */
export function expiryFromDhan(text: string): string | null {
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?$/.test(text)) return null;
  const asIfUtc = Date.parse(`${text.replace(" ", "T").replace(/\.\d+$/, "")}Z`);
  return Number.isNaN(asIfUtc) ? null : new Date(asIfUtc - IST_MS).toISOString();
}
