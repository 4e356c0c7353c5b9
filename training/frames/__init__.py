"""What a model learns from: rows as they stood at an instant, built from the exported log."""
