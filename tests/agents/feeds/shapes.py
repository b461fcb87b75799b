"""Documents of the shapes that publishers use, written by hand."""

from __future__ import annotations

# ruff: noqa: E501 - lines are as long as their publishers make them

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>Markets</title><link>https://news.example/markets</link>
<atom:link href="https://news.example/rss" rel="self" type="application/rss+xml"/>
<item><title><![CDATA[Reliance Industries <b>wins</b> order &amp; gains]]></title>
<link>https://news.example/1</link><guid isPermaLink="false">1</guid>
<pubDate>Mon, 02 Jun 2025 09:20:00 +0530</pubDate>
<description><![CDATA[<img src="https://x.example/y.png"/>Long words]]></description></item>
<item><title>TCS raises guidance</title><guid>2</guid><pubDate>Mon, 02 Jun 2025 09:25:00 IST</pubDate></item>
<item><title>No date on ITC</title><guid>3</guid></item>
<item><title>   </title><guid>4</guid></item>
</channel></rss>"""

ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Wire</title><id>urn:1</id>
<updated>2025-06-02T04:00:00Z</updated>
<entry><title type="html">Infosys &amp;amp; TCS sign a pact</title><id>urn:2</id>
<published>2025-06-02T03:50:00Z</published><updated>2025-06-02T03:55:00Z</updated></entry>
<entry><title>Wipro buys back</title><id>urn:3</id><updated>2025-06-02T09:26:00+05:30</updated></entry>
</feed>"""

NSE_JSON = """[{"symbol": "RELIANCE", "desc": "Press Release", "dt": "02062025092131",
"attchmntFile": "https://x.example/a.pdf", "sm_name": "Reliance Industries Limited", "sm_isin": "INE002A01018",
"an_dt": "02-Jun-2025 09:21:31", "sort_date": "2025-06-02 09:21:31", "seq_id": "105431",
"attchmntText": "Reliance Industries Limited has informed the Exchange regarding a press release",
"exchdisstime": "02-Jun-2025 09:21:45"},
{"symbol": "TCS", "desc": "Updates", "attchmntText": null, "an_dt": "-", "exchdisstime": null}]"""

NSE_CSV = """\ufeff"SYMBOL","COMPANY NAME","SUBJECT","DETAILS","BROADCAST DATE/TIME","RECEIPT","DISSEMINATION","DIFFERENCE","ATTACHMENT"
"ITC","ITC Limited","Dividend","ITC Limited has informed the Exchange about a dividend","02-Jun-2025 09:22:10","02-Jun-2025 09:22:01","02-Jun-2025 09:22:12","00:00:11","https://x.example/b.pdf"
"""

BSE_JSON = """{"Table": [{"NEWSID": "9d2c", "SCRIP_CD": 500325, "NEWSSUB": "Reliance Industries Ltd - 500325 - Award of Order",
"HEADLINE": "Award of Order", "DissemDT": "2025-06-02T09:23:08.117", "NEWS_DT": "2025-06-02T09:23:05.73",
"SLONGNAME": "Reliance Industries Ltd", "CATEGORYNAME": "Company Update"}], "Table1": [{"ROWCNT": 1}]}"""

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><rss version="2.0"><channel><item><title>&c;</title>'
    "</item></channel></rss>"
)

OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE rss [<! ENTITY x SYSTEM "file:///etc/passwd">]>'
    '<rss version="2.0"><channel><item><title>&x;</title></item></channel></rss>'
).replace("<! ENTITY", "<!ENTITY")


def rss(*titles: str) -> str:
    """A feed of these titles, at 09:20 IST."""
    items = "".join(
        f"<item><title>{title}</title><pubDate>Mon, 02 Jun 2025 09:20:00 +0530</pubDate></item>"
        for title in titles
    )
    return f'<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'
