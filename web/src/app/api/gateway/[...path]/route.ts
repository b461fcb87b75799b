// What the browser asks of the read gateway, at our own origin: its JSON, and its stream for as long as the browser stays.
import type { NextRequest } from "next/server";
import { problem } from "@/lib/answers";
import { ask, isRoute } from "@/lib/gateway/server";
import { accessToken } from "@/lib/token";

export async function GET(request: NextRequest, { params }: RouteContext<"/api/gateway/[...path]">): Promise<Response> {
  const path = (await params).path.join("/");
  const { search } = request.nextUrl;
  if (!isRoute(path, search)) return problem(404, "not_known");
  const token = await accessToken(request);
  if (token === undefined) return problem(401, "session_ended");
  return ask(path, search, token, request.headers.get("last-event-id"), request.signal);
}
