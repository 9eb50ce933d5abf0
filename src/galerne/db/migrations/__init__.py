"""Alembic's environment and revisions. In the package, so that an installed wheel can migrate."""
