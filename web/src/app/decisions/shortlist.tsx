// The shares that the Scout chose for the day, best first.
import Link from "next/link";
import type { Shortlist } from "@/lib/gateway/views";

export function ShortlistPart({ shortlist, waiting, known }: { shortlist: Shortlist | null; waiting: boolean; known: boolean }) {
  const entries = shortlist?.entries ?? [];
  return (
    <section aria-labelledby="shortlist" aria-busy={waiting} className="card shortlist">
      <div className="head">
        <h2 id="shortlist">Shortlist</h2>
        {entries.length > 0 && <span className="soft">{entries.length}</span>}
      </div>
      {waiting && <p className="skeleton" />}
      {!waiting && !known && <p className="soft">Not known while live figures do not arrive.</p>}
      {known && entries.length === 0 && <p className="soft">No share was chosen for today yet.</p>}
      {entries.length > 0 && (
        <ol className="rows">
          {entries.map(({ instrument, symbol, initial_signal, reason }) => (
            <li key={instrument}>
              <h3>
                <Link href={`/chart?instrument=${encodeURIComponent(instrument)}`} prefetch={false}>
                  {symbol}
                </Link>
              </h3>
              <span className={initial_signal === "BULLISH" ? "good" : "bad"}>{initial_signal === "BULLISH" ? "up" : "down"}</span>
              {reason && <p className="soft">{reason}</p>}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
