"""Plain frozen types and pure functions that every floor shares."""
