"""Capacity and what runs on it: nodes, leases, scheduling, jobs."""
