"""Any valid key may ask what it is."""

from typing import Annotated

from fastapi import Depends, Request

from galerne.rest.subject import Subject


def _subject(request: Request) -> Subject:
    subject = request.state.subject
    assert isinstance(subject, Subject)
    return subject


AnyKey = Annotated[Subject, Depends(_subject)]
