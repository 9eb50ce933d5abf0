"""Customers and the operator: one legal entity each."""
