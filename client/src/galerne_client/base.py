"""The base of every generated model, and how answers become models."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from galerne_client.calls import Answer
from galerne_client.errors import UnexpectedAnswerError

T = TypeVar("T")
_HINT = "the platform may be newer than this client; upgrade galerne-client"


class ApiModel(BaseModel):
    """An object of the API. Fields that a newer platform adds are ignored."""

    # Validators are built when first used: the command line touches few of the models at a time.
    model_config = ConfigDict(extra="ignore", defer_build=True, protected_namespaces=())


class Page(ApiModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None


def parsed_as(kind: type[T]) -> Callable[[Answer], T]:
    """Return a reader of answers whose body is `kind` as JSON."""

    def parse(answer: Answer) -> T:
        try:
            return TypeAdapter(kind).validate_json(answer.content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UnexpectedAnswerError(
                f"the answer is not what the API describes: {where}: {first['msg']}", hint=_HINT
            ) from error

    return parse


def parsed_as_nothing(answer: Answer) -> None:
    """Read an answer that says no more than that it is done."""
    del answer


def body_of(model: BaseModel) -> dict[str, Any]:
    """Spell a request model as JSON, leaving out what was not set."""
    return model.model_dump(mode="json", exclude_unset=True)
