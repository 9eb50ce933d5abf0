"""Usage records: what arrives, arrives once, and never changes."""
