// The environment, read when the server runs and never built into a file: the same build serves any project.

const REMEDIES = {
  NEXT_PUBLIC_APP_URL: "the address people open this application at, such as https://ats.example.com",
  NEXT_PUBLIC_SUPABASE_URL: "copy the project URL from your Supabase project's API settings",
  NEXT_PUBLIC_SUPABASE_ANON_KEY: "copy the publishable (anon) key from your Supabase project's API settings",
  DHAN_APP_ID: "create an app at Dhan (docs/onboarding.md) and copy its API key",
  DHAN_APP_SECRET: "create an app at Dhan (docs/onboarding.md) and copy its API secret",
} as const;

const DHAN = "https://auth.dhan.co";
const GATEWAY = "http://127.0.0.1:8792"; // where `ats gateway` listens when it is not told otherwise

export interface Environment {
  /** Origin of the application, without a path. */
  readonly appUrl: string;
  readonly supabaseUrl: string;
  readonly supabaseAnonKey: string;
  readonly dhanAppId: string;
  readonly dhanAppSecret: string;
  readonly dhanUrl: string;
  /** Base address of `ats gateway`, which this server asks on a browser's behalf. */
  readonly gatewayUrl: string;
  /** Whether cookies may travel over https only. */
  readonly secure: boolean;
}

/** Throws an Error that names every variable that is missing or malformed, and what to do. */
export function readEnvironment(variables: Record<string, string | undefined>): Environment {
  const problems: string[] = [];
  const needed = (name: keyof typeof REMEDIES): string => {
    const value = variables[name]?.trim();
    if (!value) problems.push(`${name} is not set: ${REMEDIES[name]}.`);
    return value ?? "";
  };
  const address = (name: string, value: string): string => {
    if (!value) return "";
    const problem = whyUnusable(value);
    if (!problem) return value.replace(/\/+$/, "");
    // what stands before an @ may be a password
    const shown = value.includes("@") ? name : `${name}=${value}`;
    problems.push(`${shown} is not usable: ${problem}.`);
    return "";
  };
  const environment: Environment = {
    appUrl: address("NEXT_PUBLIC_APP_URL", needed("NEXT_PUBLIC_APP_URL")),
    supabaseUrl: address("NEXT_PUBLIC_SUPABASE_URL", needed("NEXT_PUBLIC_SUPABASE_URL")),
    supabaseAnonKey: needed("NEXT_PUBLIC_SUPABASE_ANON_KEY"),
    dhanAppId: needed("DHAN_APP_ID"),
    dhanAppSecret: needed("DHAN_APP_SECRET"),
    dhanUrl: address("DHAN_AUTH_URL", variables.DHAN_AUTH_URL?.trim() || DHAN),
    gatewayUrl: address("ATS_GATEWAY_URL", variables.ATS_GATEWAY_URL?.trim() || GATEWAY),
    secure: variables.NEXT_PUBLIC_APP_URL?.trim().startsWith("https://") ?? false,
  };
  const { appUrl } = environment;
  if (appUrl && new URL(appUrl).origin !== appUrl)
    problems.push(`NEXT_PUBLIC_APP_URL=${appUrl} is not usable: give scheme, host and port only.`);
  if (environment.supabaseAnonKey.startsWith("sb_secret_"))
    problems.push("NEXT_PUBLIC_SUPABASE_ANON_KEY holds a secret key: give the publishable (anon) key.");
  if (problems.length > 0) throw new Error(problems.join(" "));
  return environment;
}

function whyUnusable(value: string): string | null {
  if (!URL.canParse(value)) return "give an address such as https://example.com";
  const { protocol, hostname, username, password } = new URL(value);
  if (username || password) return "it must not hold a user name or a password";
  if (protocol !== "https:" && !(protocol === "http:" && isLoopback(hostname)))
    return "it carries sessions and secrets and must start with https:// (http:// is for this machine only)";
  return null;
}

/** `hostname` as `URL` gives it: there any spelling of an IPv4 address is four decimal numbers. */
function isLoopback(hostname: string): boolean {
  return /^(localhost\.?|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

let current: Environment | undefined;

/** The environment of this process. */
export function environment(): Environment {
  // Through a variable: a direct process.env.NEXT_PUBLIC_… would be replaced by its value when building.
  const variables = process.env;
  return (current ??= readEnvironment(variables));
}
