"""What a trade costs: brokerage, taxes and fees of a client's day, by dated rates. Pure."""
