// What the account page asks for every few seconds: one query, read under the user's own policies. The one route without
// the proxy before it: it changes nothing, and refreshes the session and its cookies by itself.
import { type NextRequest, NextResponse } from "next/server";
import { databaseProblem, problem } from "@/lib/answers";
import { ownAccount, type Told } from "@/lib/database";
import { log } from "@/lib/log";
import { accessToken } from "@/lib/token";

const WORTH_COMPRESSING = 2_000; // characters; some three orders

export async function GET(request: NextRequest): Promise<NextResponse> {
  const token = await accessToken(request);
  const answer = token ? await account(token) : problem(401, "session_ended");
  answer.headers.append("Cache-Control", "private, no-store");
  return answer;
}

/** Whether the token is genuine is for the database to say. */
async function account(token: string): Promise<NextResponse> {
  const told = await ownAccount(token).catch(noAnswer);
  if (told.status === 200) return whole(told.text);
  const { status, code } = databaseProblem(errorIn(told));
  log("warning", "account_not_read", { code, status: told.status });
  return problem(status, code);
}

function noAnswer(): Told {
  return { status: 0, text: "" };
}

/** Next would start a compressor for half a kilobyte too; asked so often, that costs more than it saves. */
function whole(json: string): NextResponse {
  const headers = new Headers({ "Content-Type": "application/json" });
  if (json.length < WORTH_COMPRESSING) headers.append("Cache-Control", "no-transform");
  return new NextResponse(json, { headers });
}

function errorIn({ text }: Told): { code?: string; message: string } {
  try {
    const { code, message } = JSON.parse(text) as Record<string, unknown>;
    return { message: String(message), ...(typeof code === "string" && { code }) };
  } catch {
    return { message: "" }; // of a gateway in between
  }
}
