# ruff: noqa: INP001 - a script is run, not imported
"""Write the client's models from `openapi.json`. The same document gives the same bytes.

A generator of our own, because the common one needs a dozen packages, makes every optional field of a
request accept null (which the API refuses), and numbers classes when titles collide.

    python scripts/generate_client_models.py [--check]
"""

import argparse
import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "openapi.json"
PROSE_WIDTH = 110
LONG_LINES = "# ruff: noqa: E501 - descriptions are the API's own, as long as they are\n"
OUTPUT = ROOT / "client" / "src" / "galerne_client" / "models.py"
HEADER = '''"""Objects of the control-plane API. Generated from openapi.json; do not edit.

Regenerate with `python scripts/generate_client_models.py`.
"""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from galerne_client.base import ApiModel
'''
# The framework's own shapes, and pages, for which the client has one generic class.
SKIPPED = re.compile(r"^(HTTPValidationError|ValidationError|Page_.*|Body_.*)$")
_STRINGS = {"date-time": "datetime", "date": "date", "binary": "bytes"}
_SIMPLE = {"integer": "int", "number": "float", "boolean": "bool", "null": "None"}

Schema = Mapping[str, Any]


def class_name(name: str) -> str:
    """Name a class as people would: `JobOut` is a `Job`; `Foo-Input` is a `FooInput`."""
    words = re.sub(r"[^A-Za-z0-9]", "", name)
    return words.removesuffix("Out") or words


class Generator:
    """Turns the document's schemas into classes, each after those that it mentions."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = {name: schemas[name] for name in sorted(schemas) if not SKIPPED.match(name)}
        self._names = self._named()
        self._written: set[str] = set()

    def _named(self) -> dict[str, str]:
        """Name each class; where two would be the same, both keep the document's names."""
        short = {name: class_name(name) for name in self._schemas}
        taken = list(short.values())
        return {
            name: wish if taken.count(wish) == 1 else re.sub(r"[^A-Za-z0-9]", "", name)
            for name, wish in short.items()
        }

    def source(self) -> str:
        blocks = [block for name in self._schemas for block in self._with_needs(name)]
        exported = "".join(f'    "{name}",\n' for name in sorted(self._names.values()))
        return "\n\n".join([HEADER, *blocks, f"__all__ = [\n{exported}]\n"])

    def _with_needs(self, name: str) -> Iterator[str]:
        if name in self._written:
            return
        self._written.add(name)
        for needed in _references(self._schemas[name]):
            if needed in self._schemas:
                yield from self._with_needs(needed)
        yield self._definition(name)

    def _definition(self, name: str) -> str:
        schema, title = self._schemas[name], self._names[name]
        if schema.get("type") == "object" or "properties" in schema:
            return self._class(title, schema)
        return f"{title} = {self._type(schema, is_answer=True)}"

    def _class(self, title: str, schema: Schema) -> str:
        lines = [f"class {title}(ApiModel):", f'    """{_sentence(title, schema)}"""', ""]
        if schema.get("additionalProperties") is True:
            lines += ['    model_config = ConfigDict(extra="allow")', ""]
        required = set(schema.get("required", ()))
        for field, kind in schema.get("properties", {}).items():
            lines.append(f"    {self._field(field, kind, is_required=field in required)}")
        return "\n".join(lines)

    def _field(self, name: str, schema: Schema, *, is_required: bool) -> str:
        kind = self._type(schema, is_answer=is_required)
        safe = name + "_" if keyword.iskeyword(name) else name
        alias = f'alias="{name}"' if safe != name else ""
        if is_required:
            return f"{safe}: {kind}" + (f" = Field({alias})" if alias else "")
        return f"{safe}: {kind} = {_default(schema, kind, alias)}"

    def _type(self, schema: Schema, *, is_answer: bool) -> str:
        if "$ref" in schema:
            reference = schema["$ref"].rpartition("/")[2]
            return self._names.get(reference, "dict[str, Any]")
        if "const" in schema:
            return f"Literal[{json.dumps(schema['const'])}]"
        if "enum" in schema:
            return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
        for key in ("anyOf", "oneOf"):
            if key in schema:
                options = [self._type(one, is_answer=is_answer) for one in schema[key]]
                return " | ".join(dict.fromkeys(options))
        if len(schema.get("allOf", ())) == 1:
            return self._type(schema["allOf"][0], is_answer=is_answer)
        return self._plain(schema, is_answer=is_answer)

    def _plain(self, schema: Schema, *, is_answer: bool) -> str:
        match schema.get("type"):
            case "string":
                return _STRINGS.get(schema.get("format", ""), "str")
            case "array":
                return f"list[{self._type(schema.get('items', {}), is_answer=is_answer)}]"
            case "object":
                values = schema.get("additionalProperties")
                inner = (
                    self._type(values, is_answer=is_answer) if isinstance(values, dict) else "Any"
                )
                return f"dict[str, {inner}]"
            case kind:
                return _SIMPLE.get(kind or "", "Any")


def _references(schema: Any) -> Iterator[str]:
    """Name the schemas that `schema` mentions, at any depth, in order."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _sentence(title: str, schema: Schema) -> str:
    """Spell the class's docstring: the description of the API, a line to a paragraph."""
    text = schema.get("description", f"The API's {title}.").replace("\\", "\\\\")
    paragraphs = [" ".join(part.split()) for part in text.replace('"""', "'''").split("\n\n")]
    if len(paragraphs) == 1:
        return paragraphs[0]
    return textwrap.indent("\n\n".join(paragraphs), "    ").strip() + "\n    "


def _default(schema: Schema, kind: str, alias: str) -> str:
    """Spell the default; what is left unset is not sent, so a missing one may be None."""
    default = schema.get("default")
    spelled = repr(default)
    if isinstance(default, (list, dict)) and not default:
        spelled = f"default_factory={type(default).__name__}"
    elif isinstance(default, dict) and "$ref" in schema:
        spelled = f"default_factory=lambda: {kind}.model_validate({default!r})"
    is_plain = not alias and not isinstance(default, (list, dict))
    return spelled if is_plain else f"Field({', '.join(filter(None, [spelled, alias]))})"


def generate(document: Mapping[str, Any]) -> str:
    """Return the source of the models, formatted."""
    source = Generator(document["components"]["schemas"]).source()
    command = [sys.executable, "-m", "ruff", "--config", str(ROOT / "pyproject.toml")]
    for action in (["check", "--select", "F401,I", "--fix-only", "--quiet"], ["format"]):
        source = subprocess.run(  # noqa: S603 - our own interpreter and a fixed command
            [*command, *action, "--stdin-filename", str(OUTPUT), "-"],
            input=source,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return LONG_LINES + source if max(map(len, source.splitlines())) > PROSE_WIDTH else source


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    source = generate(json.loads(arguments.document.read_text(encoding="utf-8")))
    if arguments.check:
        return 0 if OUTPUT.read_text(encoding="utf-8") == source else 1
    OUTPUT.write_text(source, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
