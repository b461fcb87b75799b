"""A notebook over the decisions: `marimo edit decisions_notebook.py -- KAFKA`.

As a script, `python decisions_notebook.py KAFKA`, it prints the counts.
"""

import marimo

app = marimo.App()


@app.cell
def _():
    import sys
    from collections import Counter

    import marimo as mo

    from ats_client import Reader
    from ats_client.messages import Decision

    return Counter, Decision, Reader, mo, sys


@app.cell
async def _(Decision, Reader, sys):
    async with Reader(sys.argv[1], Decision, since="start", until_end=True) as _reader:
        decisions = [each async for each in _reader]
    return (decisions,)


@app.cell
def _(Counter, decisions):
    counts = dict(sorted(Counter(each.action.value for each in decisions).items()))
    print(counts)
    return (counts,)


@app.cell
def _(decisions, mo):
    mo.ui.table(
        [
            {
                "symbol": each.symbol,
                "action": each.action.value,
                "confidence": each.confidence,
                "price, ₹": each.reference_price / 100,
                "why": each.reasoning,
            }
            for each in decisions
        ]
    )


if __name__ == "__main__":
    app.run()
