"""Rule engines side by side on equal work: `python -m benchmarks.policy`."""
