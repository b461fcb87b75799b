"""The frame and look of our HTML pages: one file, no script, nothing fetched. Pure."""

from __future__ import annotations

from html import escape
from typing import Final

STYLE: Final = """
:root{--ink:#1c2430;--dim:#586471;--rule:#dbe2ea;--paper:#fff;--panel:#f7f9fb;--blue:#1f5fa8;
--green:#17783f;--red:#c0392b;--amber:#b97700}
@media(prefers-color-scheme:dark){:root{--ink:#dde4ec;--dim:#93a0ae;--rule:#2b3542;--paper:#12171e;
--panel:#1a212b;--blue:#7db4f0;--green:#5cc98a;--red:#f08a7e;--amber:#f0b34e}}
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.3rem;margin-bottom:.2rem} h2{font-size:1.05rem;margin:2rem 0 .5rem}
p{margin:.3rem 0} .dim{color:var(--dim)}
.remark{padding:.1rem 0 .1rem .8rem;border-left:3px solid var(--amber)}
.charts{margin-top:1rem;display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}
figure{margin:0} figcaption{color:var(--dim);font-size:.85rem}
svg{width:100%;height:auto;background:var(--panel);border-radius:6px}
text{font:12px system-ui,sans-serif;fill:var(--dim)}
.scroll{overflow-x:auto} table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{padding:.3rem .35rem;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap;
font-variant-numeric:tabular-nums;vertical-align:top}
th:first-child,td:first-child{text-align:left;white-space:normal;min-width:11rem;
position:sticky;left:0;background:var(--paper)}
@media(max-width:40rem){th:first-child,td:first-child{min-width:7.5rem}}
thead th{color:var(--dim);font-weight:600} td small{display:block;color:var(--dim)}
.up{color:var(--green)} .down{color:var(--red)}
tr.few td{color:var(--dim)} tr.few .up,tr.few .down{color:inherit}
dl.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;
margin:1rem 0}
dl.cards div{background:var(--panel);border-radius:6px;padding:.5rem .7rem}
dl.cards dt{color:var(--dim);font-size:.82rem} dl.cards dd{margin:0;font-weight:600;
font-size:1.15rem;font-variant-numeric:tabular-nums}
dl.cards dd small{display:block;font-weight:400;color:var(--dim)}
td.words{text-align:left;white-space:normal;min-width:16rem;max-width:30rem;overflow-wrap:anywhere}
tr.above td{border-bottom:0;padding-bottom:0} tr.below td{color:var(--dim);padding-top:0;
font-size:.82rem} tr.below td:first-child{white-space:normal;overflow-wrap:anywhere}
.up-bar{stroke:var(--green);fill:var(--green)} .down-bar{stroke:var(--red);fill:var(--red)}
.course{fill:none;stroke:var(--blue);stroke-width:1.6} .zero{stroke:var(--rule)}
.exposed{fill:var(--blue);opacity:.18} .stay{stroke:var(--ink);stroke-width:1.4}
.in{fill:var(--ink);stroke:var(--paper)} .out{fill:var(--paper);stroke:var(--ink)}
"""


def document(title: str, body: str) -> str:
    """A whole page; `body` is HTML whose texts are escaped."""
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<meta name=viewport content='width=device-width'><title>{escape(title)}</title>"
        f"<style>{STYLE}</style><main>\n{body}</main>\n</html>\n"
    )


def scrolled(table: str, label: str) -> str:
    """A wide table that scrolls by itself, also with the keyboard."""
    return f'<div class=scroll role=region tabindex=0 aria-label="{escape(label)}">{table}</div>'
