// What a person reads for each outcome. An address carries the code, never the words.
import { IDLE, REASONS } from "@/lib/reasons";

export type Tone = "good" | "bad" | "plain";

export interface Notice {
  readonly tone: Tone;
  readonly text: string;
}

const bad = (text: string): Notice => ({ tone: "bad", text });
const good = (text: string): Notice => ({ tone: "good", text });
const plain = (text: string): Notice => ({ tone: "plain", text });

const NOTICES: Readonly<Record<string, Notice>> = {
  connected: good("Your Dhan account is connected."),
  no_session: bad("You were not signed in when Dhan sent you back, so nothing was stored. Sign in and connect again."),
  consent_refused: bad("Dhan sent you back without an approval. Nothing was stored. Connect again when you want to allow it."),
  consent_unknown: bad("This answer from Dhan does not belong to a connection you started in this browser. Nothing was stored."),
  consent_expired: bad("More than ten minutes passed since you pressed Connect. Nothing was stored. Connect again."),
  consent_used: bad("This login was already used, here or in another tab. What is stored is shown below."),
  consent_other_session: bad("This connection was started before you signed in again. Nothing was stored. Connect again."),
  consent_other_user: bad("This connection was started by another ATS account. Nothing was stored. Connect again from this one."),
  client_mismatch: bad("You logged in to another Dhan account than the one you named. Nothing was stored. Check the client id."),
  too_often: bad("Too many attempts. Wait ten minutes, then connect again."),
  bad_client_id: bad("A Dhan client id has 4 to 20 digits and nothing else. You find it in your Dhan profile."),
  dhan_unreachable: bad("Dhan did not answer. Nothing was stored. Try again in a minute."),
  dhan_unreadable: bad("Dhan answered something we do not understand. Nothing was stored. Try again; if it stays, tell us."),
  dhan_down: bad("Dhan reports a failure on its side. Nothing was stored. Try again in a minute."),
  dhan_busy: bad("Dhan says there were too many requests. It allows 25 logins a day. Nothing was stored. Try again later."),
  dhan_no_access: bad("Dhan says this account or app has no access to the trading API. Nothing was stored. Check it at web.dhan.co."),
  dhan_refused: bad("Dhan refused: the client id is not known to it, or the login is no longer valid. Nothing was stored."),
  dhan_rejected: bad("Dhan did not accept the request. Nothing was stored. Check the client id and connect again."),
  database_away: bad("Our database does not answer. Nothing was changed. Try again in a minute."),
  application_away: bad("This application does not answer. What you see may be old. Check your connection."),
  not_stored: bad("Dhan approved, but our database did not store the connection. An earlier connection may have ended by it. Connect again before you trade."),
  account_taken: bad("This Dhan account is connected to another user here. We are asking Dhan whether that connection still lives: try again in a minute, or disconnect it there. An earlier connection of yours may have ended."),
  not_a_member: bad("Only declared members of the operator's family trade here, and this Dhan account is none. Nothing was stored. Ask the operator to declare it."),
  token_refused: bad("Dhan's answer was not one we can store: its token or its end of validity is out of range. An earlier connection may have ended by it. Connect again."),
  link_sent: plain("If this address has an account, a link is on its way. Open it in this browser within the hour."),
  signed_out: plain("You are signed out."),
  confirm_mail: plain("Almost done. We sent you a mail: open its link in this browser to confirm your address."),
  link_unusable: bad("This link was used, is too old, or was opened in another browser. Ask for a new one, or use your password."),
  invalid_credentials: bad("Email or password is not right."),
  email_not_confirmed: bad("Your address is not confirmed yet. Open the link in the mail we sent you."),
  user_already_exists: bad("This address has an account. Sign in instead."),
  weak_password: bad("This password is too easy to guess. Take at least 8 characters, and not a common word."),
  bad_email: bad("This is not an email address."),
  signup_disabled: bad("New accounts are not open at the moment."),
  over_request_rate_limit: bad("Too many attempts. Wait a few minutes, then try again."),
  over_email_send_rate_limit: bad("A mail was sent a moment ago. Wait a minute, then ask again."),
  gateway_away: bad("Live figures do not arrive: our gateway does not answer. Your stops and orders are not affected. This page tries again by itself."),
  gateway_starting: plain("Live figures arrive in a moment: the gateway is reading up the day."),
  record_away: bad("What is recorded cannot be read at the moment. Try again in a minute."),
  gateway_busy: bad("Too many pages of yours are open at once. Close some; this one tries again by itself."),
  not_connected: bad("Trading cannot be switched on: no Dhan account is connected. Connect it first."),
  token_expired: bad("Trading cannot be switched on: the connection to Dhan has expired. Connect again first."),
  connection_refused: bad("Trading cannot be switched on: Dhan no longer accepts the connection. Connect again first."),
  switch_not_a_member: bad("Trading cannot be switched on: your Dhan account is not declared as a member of the operator's family."),
  mode_unknown: bad("Trading cannot be switched on: no order worker has told its mode and limits yet."),
  terms_changed: bad("Mode or limits changed while you were asked, so nothing was switched on. Read them again, then decide."),
  only_tighter: bad("That would widen it: what holds has changed meanwhile. Look again, then decide. Nothing was changed."),
  above_ceiling: bad("That is more than the operator allows. Nothing was changed."),
  not_a_limit: bad("That is no value it can have. Nothing was changed."),
  halts_too_often: bad("You allowed trading again twenty times today. Try again tomorrow. Your account stays stopped."),
  limits_too_often: bad("Your limits were changed fifty times today. Try again tomorrow. Nothing was changed."),
  not_operator: bad("You are no operator any more. Nothing was changed."),
  answered_already: bad("Another operator answered first. Their answer stands."),
  answered_too_late: bad("The deadline had passed, so the answer is no. Nothing of it is entered."),
  not_waiting: bad("No such decision waits. Nothing was changed."),
  no_reason: bad("Say why in a few words: they are kept, and users can read them. Nothing was changed."),
  session_ended: bad("Your session has ended. Sign in again."),
  unexpected: bad("Something went wrong on our side. Nothing was changed. Try again."),
};

/** The words for a code; codes from an address may be anything, and then there are none. */
export function noticeOf(code: string | undefined): Notice | null {
  return code !== undefined && Object.hasOwn(NOTICES, code) ? (NOTICES[code] ?? null) : null;
}

/** The words for a code of ours; `about` names what they are about, where one of several was refused. */
export function wordsOf(code: string, about?: string): Notice {
  const notice = noticeOf(code) ?? bad("Something went wrong on our side. Nothing was changed. Try again.");
  return about === undefined ? notice : { ...notice, text: `${about}: ${notice.text}` };
}

/** Why nobody's orders leave, for somebody who is switched on. */
export function haltInWords(code: string): string {
  const known = Object.hasOwn(IDLE, code) ? IDLE[code] : undefined;
  return known ?? `On, but all trading is halted (${code}). No order is placed.`;
}

/** A failure reason as a person reads it; an unknown one is shown as it was recorded. */
export function failureInWords(reason: string): string {
  const code = /^[a-z_]+/.exec(reason)?.[0] ?? "";
  const words = reasonInWords(code);
  if (words === undefined) return reason;
  const recorded = reason.slice(code.length).replace(/^: /, "");
  if (code === "by_hand") return `${words} ${recorded}`; // a person's own words follow
  return recorded.startsWith(words) ? recorded : words; // it may say more
}

/** Why today's checks are red, in one sentence; a code of a later version as it is. */
export function redInWords(code: string): string {
  return reasonInWords(code) ?? code;
}

function reasonInWords(code: string): string | undefined {
  return Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
}
