"""The `galerne` command. `main` runs it, `app` names its commands, `commands/` holds them."""
