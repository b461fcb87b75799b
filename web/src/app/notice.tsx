// One message in words, announced to screen readers.
import type { Notice } from "@/lib/words";

/** Of a page that was just loaded: it takes its room, and nothing moves afterwards. */
export function NoticeBox({ notice }: { notice: Notice | null }) {
  return <div role="status">{notice && <p className={`notice ${notice.tone}`}>{notice.text}</p>}</div>;
}

/** Of a page in use: it lies over the lower edge, so that nothing moves under the reader's finger. */
export function PassingNotice({ notice, dismiss }: { notice: Notice | null; dismiss: (() => void) | null }) {
  return (
    <div role="status" className="passing">
      {notice && (
        <div className="over">
          <p className={`notice ${notice.tone}`}>{notice.text}</p>
          {dismiss && (
            <button type="button" className="plain" onClick={dismiss}>
              Dismiss
            </button>
          )}
        </div>
      )}
    </div>
  );
}
