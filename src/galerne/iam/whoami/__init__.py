"""What a key says of its own bearer."""
