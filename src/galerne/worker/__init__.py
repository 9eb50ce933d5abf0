"""Reconcile machinery: claims on rows, passes, back-off, the outbox. Knows no noun."""
