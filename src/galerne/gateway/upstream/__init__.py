"""Connections to replicas: a small HTTP/1.1 client of our own; libraries cost more than the gateway."""
