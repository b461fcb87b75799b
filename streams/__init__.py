"""From Dhan's binary feed to candles, indicators and signals."""
