"""One run end to end: find the export, decode it, insert it, account for every item."""
