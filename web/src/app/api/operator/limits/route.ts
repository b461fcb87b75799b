// The limits of one user, for an operator: the database asks who calls.
import type { NextRequest } from "next/server";
import { NextResponse } from "next/server";
import { databaseProblem, problem } from "@/lib/answers";
import { log } from "@/lib/log";
import { isId } from "@/lib/operator";
import { supabase } from "@/lib/supabase";

export async function GET(request: NextRequest): Promise<NextResponse> {
  const user = request.nextUrl.searchParams.get("user");
  if (!isId(user)) return problem(400, "unexpected");
  const { data, error } = await (await supabase()).rpc("operator_limits", { p_user: user });
  if (error) {
    const { status, code } = error.details === "no_operator" ? { status: 404, code: "not_operator" } : databaseProblem(error);
    log("warning", "limits_not_read", { user, code, database_code: error.code });
    return problem(status, code);
  }
  return NextResponse.json({ limits: data }, { headers: { "Cache-Control": "private, no-store" } });
}
