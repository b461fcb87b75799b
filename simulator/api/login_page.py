"""The page on which a user allows an app at the simulated Dhan."""

from __future__ import annotations

import html
from string import Template
from typing import Final

# Type and colours are those of our pages (`web/src/app/globals.css`); nothing is fetched.
_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulated Dhan login</title>
<style>
:root {
  color-scheme: light dark;
  --ground: light-dark(#f6f7f9, #0f1216);
  --sheet: light-dark(#ffffff, #161a20);
  --ink: light-dark(#171a1f, #e9ebee);
  --soft: light-dark(#545c68, #a7afba);
  --edge: light-dark(#e2e5ea, #2a3038);
  --line: light-dark(#7c8591, #78828e);
  --accent: light-dark(#1c57b8, #8fb8f8);
  --on-accent: light-dark(#ffffff, #0f1216);
  --warn: light-dark(#7a4a00, #f0c069);
  --warn-wash: light-dark(#fbf1dd, #2b2416);
}
* { box-sizing: border-box; }
body {
  margin: 0;
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Noto Sans",
    "Liberation Sans", Arial, sans-serif;
}
h1, p { margin: 0; }
h1 { font-size: 1.625rem; line-height: 1.25; letter-spacing: -0.01em; }
header {
  padding: 0.75rem 1rem;
  font-weight: 600;
  text-align: center;
  color: var(--warn);
  background: var(--warn-wash);
  border-bottom: 1px solid currentColor;
}
main {
  display: grid;
  gap: 1rem;
  max-width: 28rem;
  margin: 0 auto;
  padding: 1.75rem 1rem;
  overflow-wrap: anywhere;
}
form {
  display: grid;
  gap: 1.25rem;
  padding: 1.25rem;
  background: var(--sheet);
  border: 1px solid var(--edge);
  border-radius: 0.75rem;
}
label { font-size: 0.9375rem; font-weight: 600; }
input, button {
  width: 100%;
  min-height: 2.75rem;
  font: inherit;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
}
input {
  margin-top: 0.375rem;
  padding: 0.5rem 0.75rem;
  color: inherit;
  background: var(--sheet);
}
button {
  font-weight: 600;
  color: var(--on-accent);
  background: var(--accent);
  border-color: var(--accent);
  cursor: pointer;
}
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.soft { color: var(--soft); font-size: 0.9375rem; }
</style>
</head>
<body>
<header>Simulated: this is not Dhan</header>
<main>
<h1>Log in to Dhan</h1>
<form method="post">
<p>Allow the app <b>$app</b> to use the account $client?</p>
$choice<button type="submit">Log in and allow</button>
</form>
<p class="soft">No password is asked, and no real account is touched.</p>
</main>
</body>
</html>
""")


def login_page(app: str, client_id: str) -> str:
    """The page, with a field for the client id where the app named none (empty)."""
    return _PAGE.substitute(
        app=html.escape(app),
        client=f"<b>{html.escape(client_id)}</b>" if client_id else "of this client id",
        choice="" if client_id else _CHOICE,
    )


_CHOICE: Final = '<label>Client id <input name="client_id" required></label>\n'
