"""Billing: what use costs, in euro, by the price list in force. Rating has one rule (`rating`)."""
