"""Sessions: what a scope lets through, on both databases."""

from galerne.db.session import Database


async def test_the_database_answers(database: Database) -> None:
    """A fresh test database can be reached."""
    await database.ping()
