"""Deployments: a model served by replicas, each a runtime's program on an engine."""
