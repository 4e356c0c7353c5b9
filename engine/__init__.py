"""What is allowed, what it costs and what is recorded."""
