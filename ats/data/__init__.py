"""`ats data`: recorded days in one catalogue, parsed and checked once."""
