// Today's checks of the account, as an order worker last found them. Paper money is not checked.
import type { Account } from "@/lib/account";
import { clock, dayInIndia } from "@/lib/time";
import { redInWords } from "@/lib/words";

export function ChecksPart({ account }: { account: Account }) {
  const { checks, now, platform } = account;
  if (platform === null || platform.mode === "paper" || !platform.admits_this_account) return null;
  const today = checks !== null && checks.day === dayInIndia(now) ? checks : null;
  const reds = today ? today.reds : ["preflight_missing"];
  return (
    <section aria-labelledby="checks" className="card">
      <div className="head">
        <h2 id="checks">Today’s checks</h2>
        {today && <span className="soft">{`${clock(today.looked_at)} IST`}</span>}
      </div>
      <div aria-live="polite">
        {reds.length === 0 ? (
          <p className="outcome good">All is well: your account may open positions.</p>
        ) : (
          <>
            <p className="outcome bad">No position is opened for your account. Closing orders are placed.</p>
            <ul className="risks">
              {reds.map((code) => (
                <li key={code}>{redInWords(code)}</li>
              ))}
            </ul>
          </>
        )}
      </div>
    </section>
  );
}
