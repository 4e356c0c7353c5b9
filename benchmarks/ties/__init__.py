"""How fast ties are computed, at sizes up to a hundred million events."""
