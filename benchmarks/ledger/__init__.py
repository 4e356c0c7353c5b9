"""How fast the gift ledger is, beside the least that could do the same work."""
