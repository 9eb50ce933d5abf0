"""What the platform consists of, as data: sites, accelerator types, grid carbon, power models."""
