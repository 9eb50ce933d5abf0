"""How labels flow into what is registered."""

from collections.abc import Iterable

from galerne.rest.errors import Unprocessable
from galerne.sovereignty.labels import Label


class LabelEmpty(Unprocessable):
    """Nothing may hold what is to be registered: its labels have no place in common."""

    code = "label_empty"


def derived(*labels: Label, inputs: Iterable[Label] = ()) -> Label:
    """Return the intersection: a thing may be where everything that it came from may be.

    Raises `LabelEmpty`.
    """
    label = Label()
    for each in (*labels, *inputs):
        label &= each
    if label.countries is not None and not label.countries:
        raise LabelEmpty(
            "the labels have no country in common, so it could be stored nowhere",
            hint="give a label that overlaps the project's and every input's",
        )
    return label
