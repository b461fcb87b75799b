// The one stream of a tab: opened while a part of the page looks, closed while nobody sees the page, tried again by itself.
import { after, type Day, dayOf, KEPT } from "@/lib/gateway/day";
import type { Candle, Report } from "@/lib/messages";
import type { Events, Lines } from "@/lib/gateway/views";

/** `connecting`: nothing was told yet. `stale`: it was, and the line is broken. `away`: nobody answers; `problem` says why. */
export type Status = "connecting" | "live" | "stale" | "away";

export interface Live {
  readonly status: Status;
  /** A code of lib/words; null unless `away`. */
  readonly problem: string | null;
  /** Null before the first snapshot. */
  readonly day: Day | null;
  /** How many snapshots came: what is kept beside the day may have missed events before each. */
  readonly snapshots: number;
}

/** What is told but not kept here. */
export interface Passing {
  readonly candle: Candle;
  readonly report: Report;
  readonly lines: Lines;
}

export const NOTHING: Live = { status: "connecting", problem: null, day: null, snapshots: 0 };

/** Nothing is known yet, and will be in a moment. */
export function isWaiting({ day, status, problem }: Live): boolean {
  return day === null && (status === "connecting" || problem === "gateway_starting");
}

const PASSING = ["candle", "report", "lines"] as const satisfies readonly (keyof Passing)[];
const GATHER_MS = 50; // several events come at once; the page is drawn once
const LINGER_MS = 1_000; // from one page of ours to the next
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

type Listener = () => void;

class Stream {
  private live = NOTHING;
  private source: EventSource | null = null;
  private readonly listeners = new Set<Listener>();
  private readonly wanted = new Map<symbol, readonly string[]>();
  private readonly passing: { [N in keyof Passing]: Set<(told: Passing[N]) => void> } = {
    candle: new Set(),
    report: new Set(),
    lines: new Set(),
  };
  private pause = FIRST_RETRY_MS;
  private again: ReturnType<typeof setTimeout> | undefined;
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private leaving: ReturnType<typeof setTimeout> | undefined;

  readonly now = (): Live => this.live;

  /** Hear of each change, until the function that is returned is called. */
  readonly subscribe = (listener: Listener): (() => void) => {
    clearTimeout(this.leaving);
    if (this.listeners.size === 0) document.addEventListener("visibilitychange", this.look);
    this.listeners.add(listener);
    this.look();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.leaving = setTimeout(this.leave, LINGER_MS);
    };
  };

  /** Be told prices and bars of `instruments`, at most fifty in all, until the function that is returned is called. */
  readonly want = (instruments: readonly string[]): (() => void) => {
    const mine = Symbol();
    this.changeWanted(() => this.wanted.set(mine, instruments));
    return () => this.changeWanted(() => this.wanted.delete(mine));
  };

  /** Hear each event that is not kept, until the function that is returned is called. */
  readonly on = <N extends keyof Passing>(name: N, hear: (told: Passing[N]) => void): (() => void) => {
    this.passing[name].add(hear);
    return () => void this.passing[name].delete(hear);
  };

  private readonly look = (): void => {
    if (document.hidden) this.close();
    else if (this.listeners.size > 0 && this.source === null) this.open();
  };

  private readonly leave = (): void => {
    document.removeEventListener("visibilitychange", this.look);
    this.close();
  };

  private changeWanted(change: () => unknown): void {
    const before = this.address();
    change();
    if (this.source === null || this.address() === before) return;
    this.close();
    this.look();
  }

  private address(): string {
    const names = [...new Set([...this.wanted.values()].flat())].sort().slice(0, 50);
    return `/api/gateway/stream${names.length > 0 ? `?${names.map((name) => `instrument=${encodeURIComponent(name)}`).join("&")}` : ""}`;
  }

  private open(): void {
    clearTimeout(this.again);
    const source = new EventSource(this.address());
    this.source = source;
    source.onopen = () => {
      this.pause = FIRST_RETRY_MS;
      this.tell({ status: "live", problem: null });
    };
    source.onerror = () => this.lost(source);
    for (const name of KEPT) source.addEventListener(name, (event) => this.take(name, event));
    for (const name of PASSING) source.addEventListener(name, (event) => this.pass(name, event));
  }

  private close(): void {
    clearTimeout(this.again);
    this.source?.close();
    this.source = null;
    if (this.live.status === "live") this.tell({ status: "stale" });
  }

  /** The browser comes again by itself, with the id of its last event, unless it was answered that there is no stream. */
  private lost(source: EventSource): void {
    if (source !== this.source) return;
    if (source.readyState === EventSource.CLOSED) {
      this.source = null;
      void this.askWhy();
    } else if (this.live.status === "live") this.tell({ status: "stale" });
    else this.tell({ status: "away", problem: "application_away" });
  }

  private async askWhy(): Promise<void> {
    const problem = await problemNow();
    this.tell(problem === null ? { status: this.live.day ? "stale" : "connecting", problem } : { status: "away", problem });
    if (problem === "session_ended" || this.source !== null) return;
    this.again = setTimeout(this.look, this.pause);
    this.pause = Math.min(LAST_RETRY_MS, this.pause * 2);
  }

  private take<N extends keyof Events>(name: N, event: MessageEvent<string>): void {
    const told = JSON.parse(event.data) as Events[N];
    if (name === "snapshot") this.tell({ day: dayOf(told as Events["snapshot"]), snapshots: this.live.snapshots + 1 });
    else if (this.live.day) this.tell({ day: after(this.live.day, name, told) });
  }

  private pass<N extends keyof Passing>(name: N, event: MessageEvent<string>): void {
    const told = JSON.parse(event.data) as Passing[N];
    for (const hear of this.passing[name]) hear(told);
  }

  private tell(change: Partial<Live>): void {
    this.live = { ...this.live, ...change };
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      for (const listener of this.listeners) listener();
    }, GATHER_MS);
  }
}

/** Why there is no stream, as a code; null when there might be one by now. */
async function problemNow(): Promise<string | null> {
  try {
    const answer = await fetch("/api/gateway/today", { cache: "no-store" });
    if (answer.ok) return null;
    return String(((await answer.json()) as { problem: unknown }).problem);
  } catch {
    return "application_away";
  }
}

export const stream = new Stream();
