// One JSON line per event, with names and codes only: no token, no cookie, no address that may hold one, no error text of others.

type Value = string | number | boolean | null;

export function log(level: "info" | "warning" | "error", event: string, fields: Record<string, Value> = {}): void {
  const line = JSON.stringify({ timestamp: new Date().toISOString(), level, event, ...fields });
  process.stdout.write(`${line}\n`);
}
