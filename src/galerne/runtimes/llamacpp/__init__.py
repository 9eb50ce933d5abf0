"""The llama.cpp runtime: `runtime` is the adapter, `serve` the program it starts, `gguf` reads headers.

Keep this file free of imports: `python -m galerne.runtimes.llamacpp.serve` must start light.
"""
