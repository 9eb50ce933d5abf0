"""The fake runtime: an OpenAI-shaped server with delays and faults, for demos, tests and benchmarks.

Keep this file free of imports: `python -m galerne.runtimes.fake.serve` must start light.
"""
