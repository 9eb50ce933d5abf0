"""Endpoints for operators: `/healthz`, `/readyz`, `/metrics`."""
