"""The pure core of streams: candles, indicators and rules from ticks.

Exact: the same ticks give the same messages, whatever the batching.
"""
