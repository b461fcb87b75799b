"""A notebook of one day: `marimo edit day_notebook.py -- RULE DAY.parquet`, days of warm-up before.

It shows the course of a share, the signals of a rule and its trades. It runs in the environment of
ATS. As a script, `python day_notebook.py RULE DAY.parquet`, it prints the counts.
"""

import marimo

app = marimo.App()


@app.cell
def _():
    import sys
    from pathlib import Path

    import marimo as mo

    from ats.backtest.day import played_day

    return Path, mo, played_day, sys


@app.cell
def _(Path, played_day, sys):
    day = played_day([Path(each) for each in sys.argv[2:]], sys.argv[1])
    print({"signals": len(day.signals), "trades": len(day.trades)})
    return (day,)


@app.cell
def _(day, mo):
    symbol = mo.ui.dropdown(day.symbols, value=day.symbols[0], label="share")
    symbol
    return (symbol,)


@app.cell
def _(day, mo, symbol):
    mo.Html(day.picture(symbol.value))


@app.cell
def _(day, mo, symbol):
    mo.ui.table(day.signals_of(symbol.value), label="signals")


@app.cell
def _(day, mo, symbol):
    mo.ui.table(day.trades_of(symbol.value), label="trades")


if __name__ == "__main__":
    app.run()
