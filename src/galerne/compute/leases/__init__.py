"""Leases: capacity held for a tenant over time, wanted by a workload and given by scheduling."""
