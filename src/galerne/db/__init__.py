"""Database access: engine, tenant-bound sessions, base classes and column types. Knows no noun."""
