// What an operator sees and may do: what is wrong, worst first, and which deeds make sense. Pure.
import type { Approvals, AskedDecision, Console, Halt, OperatedUser, TradingState, WaitingDecision } from "@/lib/gateway/views";
import { duration, momentOf, seconds } from "@/lib/time";
import { wordsOf } from "@/lib/words";

export const DEEDS = ["halt", "reduce", "flatten", "resume"] as const;
export type Deed = (typeof DEEDS)[number];
export const LONGEST_REASON = 500; // characters; what the database keeps

const ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Whether it has the form of a user's id. */
export function isId(text: unknown): text is string {
  return typeof text === "string" && ID.test(text);
}

/** What a deed is called on its button, and what it does. */
export const DEED_WORDS: Readonly<Record<Deed, { readonly name: string; readonly does: string }>> = {
  halt: { name: "Halt", does: "No order of a decision leaves, closing ones neither. Stops and targets stay at Dhan." },
  reduce: { name: "Only closing", does: "Nothing is opened. What closes a position still leaves." },
  flatten: { name: "Flatten", does: "Nothing is opened, waiting orders are cancelled, and every open position is closed at the market." },
  resume: { name: "Resume", does: "Ends every halt that operators set. A user’s own halt stays theirs." },
};

/** What is asked about approvals, by its word in the database. */
export const ASKED = ["approve", "refuse", "approvals_on", "approvals_off"] as const;
export type Asked = (typeof ASKED)[number];
/** How long a decision may wait; bounded as in the database. */
export const SECONDS = { least: 10, usual: 60, most: 300 } as const;

const ASKED_WORDS: Readonly<Record<Asked, string>> = {
  approve: "Approve",
  refuse: "Refuse",
  approvals_on: "Ask before anything is entered",
  approvals_off: "Ask no more",
};

/** Whether it says yes or no to one decision; it may have no reason, and its word stands for one then. */
export function isAnswer(action: string): boolean {
  return action === "approve" || action === "refuse";
}

/** What an action is called; a word of a later version as it is. */
export function actionName(action: string): string {
  if (DEEDS.some((each) => each === action)) return DEED_WORDS[action as Deed].name;
  return ASKED.some((each) => each === action) ? ASKED_WORDS[action as Asked] : action;
}

/**
 * What waits, by when it was asked. What was answered since nothing waited last stays in its place, as `shown` had it: no button
 * moves under a finger.
 */
export function inQueue({ waiting, answered }: Approvals, shown: readonly WaitingDecision[]): WaitingDecision[] {
  if (waiting.length === 0) return [];
  let oldest = Math.min(...waiting.map(({ asked }) => asked.asked_at));
  const kept: WaitingDecision[] = [];
  for (const asked of answered) {
    if (asked.answered_at === null || asked.answered_at < oldest) break; // newest answer first: nothing waited then
    oldest = Math.min(oldest, asked.asked_at);
    const before = shown.find((each) => each.asked.decision_id === asked.decision_id);
    kept.push({ ...(before ?? { last_price: null, reasoning: "", reports: [] }), asked });
  }
  return [...waiting, ...kept, ...lapsed(waiting, answered, shown)].sort((one, other) => one.asked.asked_at - other.asked.asked_at);
}

/** Of `shown` what passed its deadline before anybody wrote that down: it waits no more, and has no answer yet. */
function lapsed(waiting: readonly WaitingDecision[], answered: readonly AskedDecision[], shown: readonly WaitingDecision[]): WaitingDecision[] {
  const told = new Set([...waiting.map(({ asked }) => asked), ...answered].map(({ decision_id: id }) => id));
  const soonest = Math.min(...waiting.map(({ asked }) => asked.until));
  const gone = shown.filter(({ asked }) => asked.answer === "waiting" && asked.until <= soonest && !told.has(asked.decision_id));
  return gone.map((each) => ({ ...each, asked: { ...each.asked, left_ms: 0 } }));
}

/** Milliseconds to the deadline, `elapsed` of them after the console was told. Only spans count: no two clocks are alike. */
export function msLeft({ left_ms: left }: AskedDecision, { at, database_read_at: readAt }: Console, elapsed: number): number {
  const old = readAt === null ? 0 : Math.max(0, at - readAt) / 1e6;
  return Math.max(0, left - old - elapsed);
}

/** The answer in words, and whose it was. */
export function answerInWords({ answer, answered_by: by, answered_at: at, reason }: AskedDecision): string {
  const who = by === null ? "" : ` by ${by}`;
  const when = at === null ? "" : ` at ${seconds(at)} IST`;
  const why = reason === null ? "" : `: ${reason}`;
  if (answer === "yes") return `approved${who}${when}${why}`;
  if (answer === "no") return `refused${who}${when}${why}`;
  return `nobody answered in time${when}`;
}

/** Those that change something now; nothing is known while `state` is null. */
export function deedsFor(state: TradingState | null, everybody: boolean): readonly Deed[] {
  return DEEDS.filter((deed) => {
    if (deed === "flatten") return !everybody;
    if (state === null) return true;
    if (deed === "halt") return state !== "HALTED";
    return deed === "reduce" ? state !== "REDUCING" : state !== "ACTIVE";
  });
}

/** How an operator calls a user. */
export function nameOf({ user_id: id, account }: OperatedUser): string {
  return account?.email ?? id.slice(0, 8);
}

/** The name by an id, for rows that tell only that. */
export function namesOf(users: readonly OperatedUser[]): (id: string | null) => string {
  const names = new Map(users.map((user) => [user.user_id, nameOf(user)]));
  return (id) => (id === null ? "everybody" : (names.get(id) ?? id.slice(0, 8)));
}

export interface Trouble {
  readonly tone: "bad" | "warn";
  readonly text: string;
}

const MUTE: readonly string[] = ["stale", "disconnected", "stopped"];
const BEHIND = 1_000; // records; a burst of bars is less

/** What is wrong, worst first. `problem`: why the newest answer is missing, as a code. */
export function troubles(told: Console | null, problem: string | null): Trouble[] {
  const found: Trouble[] = [];
  const bad = (text: string): void => void found.push({ tone: "bad", text });
  const warn = (text: string): void => void found.push({ tone: "warn", text });
  if (problem !== null) bad(`${wordsOf(problem).text}${told === null ? "" : ` What you see is of ${seconds(told.at)} IST.`}`);
  if (told === null) return found;
  for (const user of told.users.filter(({ day }) => day?.unprotected_now)) bad(`${nameOf(user)} holds a position without a stop for all of it.`);
  if (told.database_away) bad(`The database does not answer our gateway. Accounts and halts are of ${told.database_read_at === null ? "nobody knows when" : `${seconds(told.database_read_at)} IST`}. Where it takes no halt either, stop at Dhan itself.`);
  for (const feed of told.feeds.filter(({ state }) => MUTE.includes(state))) bad(`Feed ${feed.gateway} is mute since ${seconds(feed.at)} IST: ${feed.state}.`);
  if (told.feeds.length === 0) warn("No feed was heard.");
  if (told.state !== null && told.state !== "ACTIVE") bad(told.state === "HALTED" ? "Everybody is halted: no order of a decision leaves." : "Everybody only closes: nothing is opened.");
  const asking = told.approvals?.waiting.length ?? 0;
  if (asking > 0) warn(`${asking === 1 ? "One decision waits" : `${asking} decisions wait`} for a yes.`);
  const letters = told.pipeline.dead_letters.reduce((sum, { count }) => sum + count, 0);
  if (letters > 0) bad(`${letters === 1 ? "One record" : `${letters} records`} could not be read in the last day.`);
  for (const [group, waiting] of Object.entries(told.pipeline.lags).filter(([, each]) => each > BEHIND)) bad(`${group} is ${waiting.toLocaleString("en-IN")} records behind.`);
  if (!told.lags_known) warn("Kafka does not say what waits.");
  if (told.pipeline.failsafe_percent) warn(`${told.pipeline.failsafe_percent.toFixed(1)} % of the day’s decisions were made by the safety net.`);
  counted(told.users, ({ day }) => day?.green === false, "has a red preflight", "have a red preflight", warn);
  counted(told.users, ({ account }) => account !== null && account.switched_on && ended(account.token_until, told.at), "is switched on without a living token", "are switched on without a living token", warn);
  counted(told.users, ({ state }) => told.state === "ACTIVE" && state !== null && state !== "ACTIVE", "is halted, or only closes", "are halted, or only close", warn);
  return found.sort((one, other) => Number(one.tone === "warn") - Number(other.tone === "warn"));
}

function counted(users: readonly OperatedUser[], is: (user: OperatedUser) => boolean, one: string, many: string, say: (text: string) => void): void {
  const found = users.filter(is);
  if (found.length === 1 && found[0]) say(`${nameOf(found[0])} ${one}.`);
  else if (found.length > 1) say(`${found.length} users ${many}.`);
}

function ended(until: number | null, now: number): boolean {
  return until === null || until <= now;
}

/** The halt in words, without whose it is. */
export function haltInWords({ state, flatten, own, by, reason, since, until }: Halt): string {
  const what = state === "HALTED" ? "Halted" : flatten ? "Being flattened" : "Only closing";
  const who = own ? "by the user" : `by ${by}`;
  return `${what} ${who} at ${seconds(since)} IST${until === null ? "" : `, until ${seconds(until)} IST`}: ${reason}`;
}

/** How long a token still lives, such as `5 h 12 min`. */
export function tokenLeft(until: number | null, now: number): string {
  if (until === null) return "no token";
  return until <= now ? "token ended" : `token ${duration(Date.parse(momentOf(until)) - Date.parse(momentOf(now)))}`;
}

export type Order = "trouble" | "name" | "profit" | "exposure" | "unprotected";

/** Those who match `sought` by address, account or id, in this order; the largest amounts first. */
export function sorted(users: readonly OperatedUser[], order: Order, sought: string): OperatedUser[] {
  const wanted = sought.trim().toLowerCase();
  const found = users.filter(({ user_id: id, account }) => [id, account?.email ?? "", account?.dhan_client_id ?? ""].some((each) => each.toLowerCase().includes(wanted)));
  return found.sort((one, other) => KEYS[order](one, other) || nameOf(one).localeCompare(nameOf(other)));
}

const KEYS: Readonly<Record<Order, (one: OperatedUser, other: OperatedUser) => number>> = {
  trouble: (one, other) => weight(other) - weight(one),
  name: () => 0,
  profit: (one, other) => (one.day?.result.after_charges ?? 0) - (other.day?.result.after_charges ?? 0), // who loses most first
  exposure: (one, other) => (other.day?.exposure ?? 0) - (one.day?.exposure ?? 0),
  unprotected: (one, other) => (other.day?.unprotected_seconds ?? 0) - (one.day?.unprotected_seconds ?? 0),
};

function weight({ day, state }: OperatedUser): number {
  return (day?.unprotected_now ? 8 : 0) + (state === "HALTED" ? 4 : 0) + (day?.green === false ? 2 : 0) + (state === "REDUCING" ? 1 : 0);
}
