"""What the gifting graph says: features, tie strength, gift ranking and offer response."""
