// Dhan's consent for API keys: ask for a consent, and turn what the login brought back into a token, once.
// Failures come in several shapes and with any status; each becomes one code that words exist for.
import "server-only";
import { environment } from "@/lib/env";
import { expiryFromDhan } from "@/lib/time";

const PATIENCE_MS = 10_000; // Dhan's login service takes one to two seconds on a busy morning
const MOST_BYTES = 64_000; // an answer is a few hundred bytes

export type DhanProblem =
  | "dhan_unreachable"
  | "dhan_unreadable"
  | "dhan_down"
  | "dhan_busy"
  | "dhan_no_access"
  | "dhan_refused"
  | "dhan_rejected";

/** Whether Dhan said so itself. Without an answer, or after a failure on its side, there may be a token nobody has. */
export function madeNoToken(problem: DhanProblem): boolean {
  return !["dhan_unreachable", "dhan_unreadable", "dhan_down"].includes(problem);
}

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: DhanProblem };

/** A connected account. The token goes from here to the database and nowhere else. */
export interface Connection {
  readonly clientId: string;
  readonly token: string;
  /** UTC, ISO 8601. */
  readonly expiry: string;
}

/** Ask for a consent of this account; the value is the address of Dhan's login page. */
export async function loginAddress(clientId: string): Promise<Answer<string>> {
  const { dhanUrl } = environment();
  const answer = await ask(`/app/generate-consent?client_id=${encodeURIComponent(clientId)}`);
  if (!answer.ok) return answer;
  const consent = answer.value.consentAppId;
  if (answer.value.status !== "success" || typeof consent !== "string" || !/^[\w-]{4,100}$/.test(consent))
    return { ok: false, problem: "dhan_unreadable" };
  return { ok: true, value: `${dhanUrl}/login/consentApp-login?consentAppId=${consent}` };
}

/** Turn the login's one-time id into the account's token; Dhan kills the account's earlier token by it. */
export async function consumeConsent(tokenId: string): Promise<Answer<Connection>> {
  const answer = await ask(`/app/consumeApp-consent?tokenId=${encodeURIComponent(tokenId)}`);
  if (!answer.ok) return answer;
  const { dhanClientId: clientId, accessToken: token, expiryTime } = answer.value;
  const expiry = typeof expiryTime === "string" ? expiryFromDhan(expiryTime) : null;
  if (typeof clientId !== "string" || !clientId || typeof token !== "string" || !token || expiry === null)
    return { ok: false, problem: "dhan_unreadable" };
  return { ok: true, value: { clientId, token, expiry } };
}

type Fields = Record<string, unknown>;

async function ask(path: string): Promise<Answer<Fields>> {
  try {
    let response = await send("POST", path);
    // Dhan's pages disagree about the verb. 405 says that nothing was done.
    if (response.status === 405) response = await send("GET", path);
    const text = await response.text();
    return read(response.status, text.length > MOST_BYTES ? "" : text);
  } catch {
    return { ok: false, problem: "dhan_unreachable" }; // its text may hold the address, and that a one-time id
  }
}

function send(method: string, path: string): Promise<Response> {
  const { dhanUrl, dhanAppId, dhanAppSecret } = environment();
  return fetch(dhanUrl + path, {
    method,
    headers: { app_id: dhanAppId, app_secret: dhanAppSecret, accept: "application/json" },
    redirect: "error", // the secret goes to Dhan only
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
}

function read(status: number, text: string): Answer<Fields> {
  const fields = parsed(text);
  const problem = fields === null ? problemOfStatus(status) : problemOfFields(status, fields);
  if (problem) return { ok: false, problem };
  return fields === null ? { ok: false, problem: "dhan_unreadable" } : { ok: true, value: fields };
}

function parsed(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
  } catch {
    return null;
  }
}

/** The trading shape is `{errorType, errorCode, errorMessage}`, the data shape `{status: "failed", data: {"<code>": "<text>"}}`. */
function problemOfFields(status: number, fields: Fields): DhanProblem | null {
  const codes = [fields.errorCode, ...(isObject(fields.data) ? Object.keys(fields.data) : [])];
  for (const code of codes) {
    const known = typeof code === "string" ? CODES[code] : undefined;
    if (known) return known;
  }
  if (status >= 400) return problemOfStatus(status);
  const failed = fields.status !== undefined && fields.status !== "success";
  return failed || "errorCode" in fields || "errorType" in fields ? "dhan_rejected" : null;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function problemOfStatus(status: number): DhanProblem | null {
  if (status === 401 || status === 403) return "dhan_refused";
  if (status === 429) return "dhan_busy";
  if (status >= 500) return "dhan_down";
  return status >= 400 ? "dhan_rejected" : null;
}

const CODES: Readonly<Record<string, DhanProblem>> = {
  "DH-901": "dhan_refused",
  "DH-902": "dhan_no_access",
  "DH-903": "dhan_no_access",
  "DH-904": "dhan_busy",
  "DH-905": "dhan_rejected",
  "DH-906": "dhan_refused", // seen as "Invalid Token"
  "DH-907": "dhan_rejected",
  "DH-908": "dhan_down",
  "DH-909": "dhan_down",
  "DH-910": "dhan_rejected",
  "DH-911": "dhan_no_access",
  "800": "dhan_down",
  "805": "dhan_busy",
  "806": "dhan_no_access",
  "807": "dhan_refused",
  "808": "dhan_refused",
  "809": "dhan_refused",
  "810": "dhan_refused",
};
