"""Rule packs to verdicts: pure, facts in and verdicts out."""
