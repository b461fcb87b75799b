// The frame of every page. Rendered per request, because each answer's scripts carry a nonce of their own.
import type { Metadata } from "next";
import { connection } from "next/server";
import type { ReactNode } from "react";
import "./globals.css";

export const metadata: Metadata = { title: "ATS", description: "Connect your Dhan account and start trading", robots: "noindex" };

export default async function Layout({ children }: { children: ReactNode }) {
  await connection();
  return (
    <html lang="en">
      <body>
        <header className="top">
          <a href="/account" className="brand">
            ATS
          </a>
        </header>
        <main>{children}</main>
      </body>
    </html>
  );
}
