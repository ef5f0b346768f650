"""What must never be seen."""

PASSWORD = "pl4nted: /@?#%ü"
"""Contains what has to be escaped in URLs, headers and shells."""
