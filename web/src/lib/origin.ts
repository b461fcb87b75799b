// Which requests may change state: those our own pages made.

const HARMLESS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Every browser names the origin of a request that is not GET or HEAD; one without it is not from our pages. */
export function mayPass(method: string, origin: string | null, appUrl: string): boolean {
  return HARMLESS.has(method) || origin === appUrl;
}
