"""The LLM data plane: takes OpenAI- and Mistral-shaped requests to replicas and accounts for each once.

It touches no database. Keys, models and prices come as an immutable snapshot (`snapshot`), usage leaves
through a local journal (`journal`, `shipping`). `app.build_app` puts the pieces together.
"""
