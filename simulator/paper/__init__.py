"""Paper trading on a market that is read from elsewhere. `server.PaperServer` is where to begin.

The broker's wire and order rules are the simulator's own; the market is a tape of ticks, and what
happened is written down before it is done.
"""
