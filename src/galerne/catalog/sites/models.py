"""The table of sites. Platform-wide: every tenant sees the same sites."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, Record
from galerne.db.types import Json
from galerne.sovereignty.labels import Place

NAME_LENGTH = 63


class Site(Record):
    """A place with nodes: the unit that labels, power caps and grid factors speak of."""

    __tablename__ = "sites"
    id_prefix = "site"

    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    country: Mapped[str] = mapped_column(String(2))  # ISO 3166-1 alpha-2.
    operator: Mapped[str] = mapped_column(String(200))  # Legal name of who runs the machines.
    operator_id: Mapped[str] = mapped_column(String(ID_LENGTH))  # Its organization here.
    operator_subject_to: Mapped[list[str]] = mapped_column(Json)  # Countries whose law reaches it.
    certifications: Mapped[list[str]] = mapped_column(Json)
    jurisdictions: Mapped[list[str]] = mapped_column(Json)  # Whose law holds on the ground.
    grid_zone: Mapped[str] = mapped_column(String(20))  # As in `catalog.intensity`: FRA, DEU.
    pue_milli: Mapped[int] = mapped_column()  # Thousandths: 1250 is a PUE of 1.25.
    power_cap_watts: Mapped[int | None] = mapped_column(BigInteger)  # At the meter; None: no cap.
    is_simulated: Mapped[bool] = mapped_column()  # What is placed here is not really run.

    def place(self) -> Place:
        """Return the facts that a label asks for."""
        return Place(
            name=self.name,
            country=self.country,
            operator_subject_to=frozenset(self.operator_subject_to),
            certifications=frozenset(self.certifications),
        )
