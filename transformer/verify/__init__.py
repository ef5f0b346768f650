"""The proof: whether a destination holds what an export holds."""
