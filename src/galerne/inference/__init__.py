"""Served models: deployments and their replicas."""
