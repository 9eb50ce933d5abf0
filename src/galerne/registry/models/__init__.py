"""Models: what was trained here with its lineage, and the operator's catalogue of public ones."""
