"""Secrets that programs authenticate with; stored as digests only."""
