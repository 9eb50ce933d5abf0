"""Checkpoints of the tree as C2SP signed notes (signed-note, tlog-checkpoint): any witness reads them."""

from base64 import b64encode
from typing import Protocol

from galerne.events.merkle import Appended


class Signer(Protocol):
    """Holds the log's signing key; supplied by the wiring."""

    @property
    def name(self) -> str:
        """The key's name, which is also the log's origin line."""
        ...

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell the log's keys apart."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature's bytes."""
        ...


def checkpoint_text(origin: str, tree: Appended) -> str:
    """Spell the statement that is signed: origin, size, root."""
    return f"{origin}\n{tree.size}\n{b64encode(tree.root).decode()}\n"


def sign_note(text: str, signer: Signer) -> str:
    """Add the signature line to a text that ends in a newline."""
    signature = b64encode(signer.key_id + signer.sign(text.encode())).decode()
    return f"{text}\n\N{EM DASH} {signer.name} {signature}\n"
