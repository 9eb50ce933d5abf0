"""Galerne: a sovereign AI cloud, from bare metal to LLM API."""

__version__ = "0.1.0"
