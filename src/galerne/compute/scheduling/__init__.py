"""Scheduling: which lease gets which nodes, when, and why not yet."""
