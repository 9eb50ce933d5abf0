"""The SDK's resources, one module per kind of object: each call described once."""
