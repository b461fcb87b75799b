"""`ats ledger`: keys, the ledger and its witness, verification of a day, proofs of an order."""
