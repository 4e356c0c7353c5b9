"""From the log to fitted, judged and registered models."""
