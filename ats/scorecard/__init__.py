"""`ats scorecard`: whether decisions were any good, of recorded days or of a market file."""
