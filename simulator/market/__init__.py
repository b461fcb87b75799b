"""Where prices come from: a seeded generator or recorded candles, both as one tape of prints."""
