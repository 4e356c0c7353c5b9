"""Measurements with a baseline in the same run."""
