// One message in words, announced to screen readers.
import type { Notice } from "@/lib/words";

export function NoticeBox({ notice }: { notice: Notice | null }) {
  return (
    <div role="status" className="notices">
      {notice && <p className={`notice ${notice.tone}`}>{notice.text}</p>}
    </div>
  );
}
