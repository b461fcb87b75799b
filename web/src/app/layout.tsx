// The frame of every page. Rendered per request, because each answer's scripts carry a nonce of their own.
import type { Metadata, Viewport } from "next";
import { cookies } from "next/headers";
import Link from "next/link";
import { connection } from "next/server";
import type { ReactNode } from "react";
import { Navigation } from "@/app/navigation";
import { isOperator } from "@/lib/database";
import { firstToken } from "@/lib/gateway/first";
import { isSession } from "@/lib/session";
import "./globals.css";

export const metadata: Metadata = { title: "ATS", description: "Your trading day: profit, positions, orders, and a way to stop", robots: "noindex" };

export const viewport: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#ffffff" },
    { media: "(prefers-color-scheme: dark)", color: "#161a20" },
  ],
};

export default async function Layout({ children }: { children: ReactNode }) {
  await connection();
  const signedIn = (await cookies()).getAll().some(({ name }) => isSession(name)); // or was: each page asks for itself
  return (
    <html lang="en">
      <head>
        {/* Shown when it is whole: on a bad line, or a busy machine, its parts would push each other about. */}
        <link rel="expect" href="#end" blocking="render" />
      </head>
      <body className={signedIn ? "inside" : undefined}>
        <a href="#main" className="skip">
          Skip to the content
        </a>
        <header className="top">
          <Link href="/today" prefetch={false} className="brand">
            <svg viewBox="0 0 32 32" aria-hidden="true">
              <rect width="32" height="32" rx="8" />
              <path d="M6 22l7-8 5 4 8-10" />
            </svg>
            ATS
          </Link>
          {signedIn && <Pages />}
        </header>
        <main id="main" tabIndex={-1}>
          {children}
        </main>
        <template id="end" />
      </body>
    </html>
  );
}

/** Asked beside what the page asks, so that nobody waits for it. */
async function Pages() {
  const token = await firstToken();
  return <Navigation operator={token !== undefined && (await isOperator(token))} />;
}
