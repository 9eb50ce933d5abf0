"""Accelerator types as data: vendor-neutral, dated, with the source of each figure."""
