"""Real processes on this machine that outlive the control plane.

`driver` is the engine the control plane talks to; `shim` is the small process that supervises one
launch. They share no memory: all they say to each other is in files (`records`). This file imports
nothing, because every shim pays for what it imports.
"""
