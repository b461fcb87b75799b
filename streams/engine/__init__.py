"""The pure core of streams: candles, indicators and rules from ticks, exact whatever the batching."""
