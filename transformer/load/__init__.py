"""What takes Arrow to ClickHouse: destinations, chunks and their tokens, and the quarantine of rejected items."""
