"""The protocols of `lishang benchmark`: what is measured, beside which baselines, on real data."""
