// The way around: along the top, or within the thumb's reach on a phone. The current page is marked.
"use client";
import Link from "next/link";
import { usePathname } from "next/navigation";

const PAGES = [
  { path: "/today", name: "Today" },
  { path: "/chart", name: "Chart" },
  { path: "/decisions", name: "Decisions" },
  { path: "/history", name: "History" },
  { path: "/account", name: "Account" },
] as const;
const OPERATOR = { path: "/operator", name: "Operator" } as const;

export function Navigation({ operator }: { operator: boolean }) {
  const here = usePathname();
  const pages = operator ? [...PAGES, OPERATOR] : PAGES;
  return (
    <nav aria-label="Pages">
      {pages.map(({ path, name }) => (
        <Link key={path} href={path} prefetch={false} aria-current={here === path || here.startsWith(`${path}/`) ? "page" : undefined}>
          {name}
        </Link>
      ))}
    </nav>
  );
}
