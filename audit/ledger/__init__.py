"""The ledger: proves that no record of the decision, order and money topics was changed.

A transparency log for each trading day: a Merkle tree as in RFC 9162 whose leaves are the records,
heads that the ledger signs and a witness cosigns, in the formats of C2SP (signed-note,
tlog-checkpoint, tlog-cosignature, tlog-proof), so that software of others verifies them.
"""
