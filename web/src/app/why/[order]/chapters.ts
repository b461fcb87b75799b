// The steps of a story in chapters, each with a word for what kind of step it is. Pure.
import type { Why, WhyStep } from "@/lib/gateway/views";

export interface Chapter {
  readonly title: string;
  readonly words: string;
  readonly steps: readonly WhyStep[];
}

const CHAPTERS: readonly { readonly title: string; readonly words: string; readonly roles: readonly string[] }[] = [
  { title: "The market moved", words: "Ticks became a bar, and a rule saw something in it.", roles: ["ticks", "bar", "indicators", "signal"] },
  { title: "It was thought about", words: "Two analysts gave an opinion, and one decision was made.", roles: ["scout", "market", "news", "model", "report", "decision"] },
  { title: "Your order was checked", words: "The decision became an order of yours, and the gate judged it before it left.", roles: ["order", "outcome"] },
  { title: "What happened at the broker", words: "How the order stood, what filled, and what ended it.", roles: ["exit", "observed", "trade", "position", "also"] },
  { title: "What it took", words: "Time, thinking and charges.", roles: ["timing", "thinking", "charges"] },
];

export const IN_SHORT = "in short";

const NAMES: Readonly<Record<string, string>> = {
  ticks: "Ticks",
  bar: "Bar",
  indicators: "Indicators",
  signal: "Signal",
  scout: "Shortlist",
  market: "Market",
  news: "News",
  model: "Model asked",
  report: "Opinion",
  decision: "Decision",
  order: "Order",
  outcome: "Verdict",
  exit: "Exit",
  observed: "At the broker",
  trade: "Fill",
  position: "Position",
  also: "Another order",
  timing: "Time",
  thinking: "Thinking",
  charges: "Charges",
};

/** What kind of step, in a word. */
export function roleInWords(role: string): string {
  return Object.hasOwn(NAMES, role) ? (NAMES[role] ?? role) : role;
}

/** The story's chapters in their order; what a later version tells besides comes last. */
export function chaptersOf({ steps }: Why): readonly Chapter[] {
  const known = new Set([IN_SHORT, ...CHAPTERS.flatMap(({ roles }) => roles)]);
  const told = CHAPTERS.map(({ title, words, roles }) => ({ title, words, steps: steps.filter(({ role }) => roles.includes(role)) }));
  const rest = { title: "And", words: "", steps: steps.filter(({ role }) => !known.has(role)) };
  return [...told, rest].filter((chapter) => chapter.steps.length > 0);
}
