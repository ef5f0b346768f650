"""What the user wants: the schema file, the one type table, and all SQL rendered from a schema."""
