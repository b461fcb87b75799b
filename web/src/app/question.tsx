// One question before something that cannot be taken back: the words are read first, and Escape is no.
"use client";
import { type ReactNode, type RefObject, useRef } from "react";

interface Props {
  readonly dialog: RefObject<HTMLDialogElement | null>;
  readonly title: string;
  readonly yes: string;
  readonly grave?: boolean;
  readonly onYes: () => void;
  readonly children: ReactNode;
}

export function Question({ dialog, title, yes, grave = false, onYes, children }: Props) {
  const id = title.replace(/\W+/g, "-").toLowerCase();
  return (
    <dialog ref={dialog} aria-labelledby={id}>
      <h3 id={id} tabIndex={-1}>
        {title}
      </h3>
      {children}
      <div className="actions">
        <button type="button" className="quiet" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button
          type="button"
          className={grave ? "grave" : undefined}
          onClick={() => {
            dialog.current?.close();
            onYes();
          }}
        >
          {yes}
        </button>
      </div>
    </dialog>
  );
}

/** A dialog and the way to open it: the browser would go to the first button, and scroll the words out of a phone's sight. */
export function useQuestion(): { dialog: RefObject<HTMLDialogElement | null>; ask: () => void } {
  const dialog = useRef<HTMLDialogElement>(null);
  return {
    dialog,
    ask: () => {
      dialog.current?.showModal();
      dialog.current?.querySelector("h3")?.focus();
    },
  };
}
