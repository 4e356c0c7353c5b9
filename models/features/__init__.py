"""Every feature, defined once, from stored state and from the exported log."""
