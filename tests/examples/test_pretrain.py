"""The training example, without torch: its corpus, its lines, its choice of a checkpoint."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "pretrain"

PROGRESS_LINE = re.compile(
    r"step=\d+ of=\d+ loss=\d+\.\d{3} tokens=\d+ tokens_per_second=\d+ elapsed_seconds=\d+\.\d",
)


def load(name: str) -> ModuleType:
    """Import a file of the example, which is a folder of scripts and no package."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its own imports, and dataclasses, look the module up by this name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus() -> Iterator[ModuleType]:
    yield load("corpus")
    del sys.modules["corpus"]


@pytest.fixture(scope="module")
def progress() -> Iterator[ModuleType]:
    yield load("progress")
    del sys.modules["progress"]


@pytest.fixture(scope="module")
def checkpoints(progress: ModuleType) -> Iterator[ModuleType]:
    assert sys.modules["progress"] is progress
    yield load("checkpoints")
    del sys.modules["checkpoints"]


@pytest.fixture(scope="module")
def card(progress: ModuleType) -> Iterator[ModuleType]:
    assert sys.modules["progress"] is progress
    yield load("card")
    del sys.modules["card"]


def page(*paragraphs: str) -> str:
    body = "".join(f'<div class="para">\n\t{text}\n</div>' for text in paragraphs)
    return (
        f"<html><body><ul class='docnav'><li>Next page of this book</li></ul>{body}</body></html>"
    )


ENGLISH = [
    "The package manager installs programs and keeps them up to date on this machine.",
    "See Section 5.1, “Structure of a Binary Package” for the format of every package.",
]
FRENCH = "Le gestionnaire de paquets installe les programmes et les tient à jour."


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    html = tmp_path / "html"
    for folder, texts in {
        "en-US": ENGLISH,
        "fr-FR": [FRENCH, ENGLISH[1].replace("Section", "Section\N{NO-BREAK SPACE}")],
        "da-DK": ENGLISH,
    }.items():
        (html / folder).mkdir(parents=True)
        (html / folder / "index.html").write_text(page(*texts), "utf-8")
    return html


class TestExtract:
    def test_keeps_prose_with_its_inline_markup(self, corpus: ModuleType) -> None:
        """A paragraph is its text with inline elements and entities resolved, spaces normalized."""
        html = page(
            "Le serveur\n\t\t<code>bind</code> s'occupe&nbsp;du <em>DNS</em> &amp; du reste."
        )
        assert corpus.extract(html) == ["Le serveur bind s'occupe du DNS & du reste."]

    def test_drops_code_and_navigation(self, corpus: ModuleType) -> None:
        """Listings inside a paragraph and everything outside of paragraphs are left out."""
        html = page("Avant<pre>apt install x</pre> après.") + "<pre>ls</pre><p>Suivant</p>"
        assert corpus.extract(html) == ["Avant après."]

    def test_a_nested_block_stays_with_its_paragraph(self, corpus: ModuleType) -> None:
        """A division inside a paragraph does not end it."""
        assert corpus.extract(page("un <div class='note'>deux</div> trois")) == ["un deux trois"]


class TestHandbook:
    def test_untranslated_paragraphs_are_dropped(self, corpus: ModuleType, handbook: Path) -> None:
        """What also stands in the English pages is not text in another language."""
        found = corpus.handbook_paragraphs(handbook, ["da", "fr"])
        assert found == {"da": [], "fr": [FRENCH]}

    def test_english_with_a_translated_cross_reference_is_still_english(
        self, corpus: ModuleType
    ) -> None:
        """A paragraph counts as English when only its reference to a section was translated."""
        english = corpus.shingles(ENGLISH)
        assert corpus.is_english(ENGLISH[1].replace("Section", "Kapitel"), english)
        assert not corpus.is_english(FRENCH, english)


CATALOGUE = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"

#: somewhere.py
msgid "The file is empty."
msgstr "Le fichier "
"est vide : « \\"rien\\" »."

#, python-format
msgid "%(count)d line"
msgid_plural "%(count)d lines"
msgstr[0] "%(count)d ligne"
msgstr[1] "%(count)d lignes"

#, fuzzy, python-format
msgid "A doubtful one"
msgstr "Une traduction douteuse"

msgid "Not translated yet"
msgstr ""

msgid "Sites web"
msgstr "Sites web"

msgid "Name"
msgstr "Nom"
"""


class TestCatalogue:
    def test_messages_are_unescaped_and_joined(self, corpus: ModuleType) -> None:
        """Continued strings are one message; plural forms count one by one."""
        assert corpus.catalogue_paragraphs([CATALOGUE, CATALOGUE]) == [
            'Le fichier est vide : « "rien" ».',
            "%(count)d ligne",
            "%(count)d lignes",
        ]


def source(corpus: ModuleType, **paragraphs: list[str]) -> Any:
    return corpus.Source("debian", "book", "1.0", "CC0-1.0", "Free.\n", paragraphs, 10)


class TestDataset:
    def test_the_same_source_gives_the_same_bytes(self, corpus: ModuleType, tmp_path: Path) -> None:
        """Two runs write identical files, whatever the order of the languages."""
        texts = source(corpus, fr=["un deux trois", "quatre"], de=["eins zwei drei"])
        corpus.write(tmp_path / "a", texts, ["fr", "de"], 1000)
        corpus.write(tmp_path / "b", texts, ["de", "fr"], 1000)
        files = sorted(file.name for file in (tmp_path / "a").iterdir())
        assert files == ["COPYRIGHT", "dataset.json", "de.txt", "fr.txt"]
        for name in files:
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    def test_the_facts_describe_the_files(self, corpus: ModuleType, tmp_path: Path) -> None:
        """`dataset.json` states licence, source, and size and digest of every text."""
        out = tmp_path / "dataset"
        corpus.write(out, source(corpus, fr=["été"]), ["fr"], 1000)
        facts = json.loads((out / "dataset.json").read_text("utf-8"))
        assert facts["licence"] == "CC0-1.0"
        assert facts["source"] == {"registry": "debian", "package": "book", "version": "1.0"}
        assert facts["languages"]["fr"]["characters"] == 4
        assert corpus.complete_languages(out) == ("fr",)

    def test_a_changed_text_makes_it_incomplete(self, corpus: ModuleType, tmp_path: Path) -> None:
        """A dataset whose text was altered is not taken for a complete one."""
        out = tmp_path / "dataset"
        corpus.write(out, source(corpus, fr=["été"]), ["fr"], 1000)
        (out / "fr.txt").write_text("hiver\n", "utf-8")
        assert corpus.complete_languages(out) == ()

    def test_text_is_cut_between_paragraphs(self, corpus: ModuleType) -> None:
        """The limit of characters, line ends included, never cuts a paragraph."""
        assert list(corpus.within(["abc", "def", "g"], 8)) == ["abc", "def"]
        assert list(corpus.within(["abc", "def", "g"], 7)) == ["abc"]

    def test_a_language_without_enough_text_is_left_out(self, corpus: ModuleType) -> None:
        """By default only truly translated languages are taken."""
        assert corpus.choose(source(corpus, fr=["a long sentence"], de=["kurz"]), None) == ["fr"]

    def test_a_language_asked_for_by_name_must_be_there(self, corpus: ModuleType) -> None:
        """Leaving out a language that the user named would be silent loss: it is an error."""
        with pytest.raises(corpus.LanguageMissingError, match="'de'"):
            corpus.choose(source(corpus, de=["kurz"]), ("de",))

    def test_a_complete_dataset_is_kept(
        self, corpus: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Running it again on a complete dataset fetches nothing and says so."""
        out = tmp_path / "dataset"
        corpus.write(out, source(corpus, fr=["été"]), ["fr"], 1000)
        assert corpus.main(["--out", str(out)]) == 0
        assert capsys.readouterr().out.startswith("corpus kept ")
        assert corpus.main(["--out", str(out), "--languages", "fr,de"]) == 2

    def test_a_directory_with_other_files_is_refused(
        self, corpus: ModuleType, tmp_path: Path
    ) -> None:
        """Files that are no dataset are never replaced, also not with --force."""
        (tmp_path / "thesis.txt").write_text("years of work")
        assert corpus.main(["--out", str(tmp_path), "--force"]) == 2
        assert (tmp_path / "thesis.txt").read_text() == "years of work"


class TestProgress:
    def test_the_line_has_its_exact_form(self, progress: ModuleType) -> None:
        """Programs read this line: its words and their order are fixed."""
        line = progress.progress_line(
            progress.Point(120, 245760, 31.24),
            of=400,
            loss=3.2141,
            tokens_per_second=4100.4,
        )
        assert line == (
            "step=120 of=400 loss=3.214 tokens=245760 tokens_per_second=4100 elapsed_seconds=31.2"
        )
        assert PROGRESS_LINE.fullmatch(line)

    def test_the_result_names_every_language(self, progress: ModuleType) -> None:
        """The last line gives the mean loss and the perplexity of each language."""
        line = progress.result_line(
            progress.Point(9, 1024, 1.0),
            {"fr": 2.0, "de": 0.0},
            parameters=7,
            checkpoint="c/checkpoint-9",
        )
        assert line == (
            "result loss=1.000 perplexity_de=1.0 perplexity_fr=7.4 parameters=7 tokens=1024"
            " checkpoint=c/checkpoint-9"
        )

    def test_whichever_budget_ends_first_counts(self, progress: ModuleType) -> None:
        """Steps and seconds both bound the training, and the estimate never passes the steps."""
        budget = progress.Budget(steps=100, seconds=60)
        assert budget.done_fraction(10, 30) == 0.5
        assert budget.done_fraction(90, 30) == 0.9
        assert budget.done_fraction(90, 61) == 1.0
        assert budget.steps_expected(10, 30) == 20
        assert budget.steps_expected(90, 30) == 100
        assert progress.Budget(steps=100).steps_expected(10, 30) == 100

    def test_the_learning_rate_rises_then_falls(self, progress: ModuleType) -> None:
        """It warms up to the full rate and ends at the stated rest, never at nothing."""
        schedule = progress.Schedule(warmup_fraction=0.1, final_learning_rate_fraction=0.05)
        rates = [schedule.rate(share / 20) for share in range(21)]
        assert rates[2] == max(rates) == 1.0
        assert rates[2:] == sorted(rates[2:], reverse=True)
        assert rates[-1] == pytest.approx(0.05)
        assert rates[0] > 0


class TestCheckpoints:
    @staticmethod
    def save(checkpoints: ModuleType, root: Path, step: int) -> Path:
        path = root / f"checkpoint-{step}"
        path.mkdir()
        (path / "model.safetensors").write_bytes(b"weights" * step)
        checkpoints.mark_complete(path, checkpoints.Point(step, step * 8, step / 2), "run")
        return path

    def test_the_newest_is_chosen_by_number(self, checkpoints: ModuleType, tmp_path: Path) -> None:
        """Step 100 is newer than step 20, though its name sorts before."""
        self.save(checkpoints, tmp_path, 20)
        newest = self.save(checkpoints, tmp_path, 100)
        found, ignored = checkpoints.newest_complete(tmp_path)
        assert found == checkpoints.Checkpoint(newest, checkpoints.Point(100, 800, 50.0), "run")
        assert ignored == []

    @pytest.mark.parametrize(
        ("damage", "reason"),
        [
            (lambda path: (path / "complete.json").unlink(), "not written to its end"),
            (lambda path: (path / "complete.json").write_text("{"), "cannot be read"),
            (lambda path: (path / "complete.json").write_text("[]"), "cannot be read"),
            (lambda path: (path / "model.safetensors").unlink(), "is missing"),
            (lambda path: (path / "model.safetensors").write_bytes(b"we"), "2 of 210 bytes"),
        ],
        ids=["no marker", "broken marker", "odd marker", "file missing", "file cut short"],
    )
    def test_a_truncated_one_is_ignored_with_its_reason(
        self, checkpoints: ModuleType, tmp_path: Path, damage: Callable[[Path], object], reason: str
    ) -> None:
        """A killed save is passed over for the complete checkpoint before it, and named."""
        older = self.save(checkpoints, tmp_path, 20)
        truncated = self.save(checkpoints, tmp_path, 30)
        damage(truncated)
        found, ignored = checkpoints.newest_complete(tmp_path)
        assert found.path == older
        [(path, why)] = ignored
        assert path == truncated
        assert reason in why

    def test_nothing_to_resume_from(self, checkpoints: ModuleType, tmp_path: Path) -> None:
        """A first attempt, where not even the directory is there, starts from the beginning."""
        assert checkpoints.newest_complete(tmp_path / "none") == (None, [])


class TestCard:
    def test_it_states_licence_languages_and_losses(
        self, card: ModuleType, progress: ModuleType, tmp_path: Path
    ) -> None:
        """A model leaves with its licence, its languages, its figures and the copyright notice."""
        notice = tmp_path / "NOTICE"
        notice.write_text("Copyright the authors\n")
        training = card.Training(
            name="europe-mini",
            dataset={
                "name": "european-prose",
                "licence": "CC0-1.0",
                "source": {"package": "book", "version": "1", "registry": "debian"},
            },
            dataset_sha256="00ff",
            parameters=2_000_000,
            vocabulary=4096,
            point=progress.Point(100, 500_000, 60.0),
            losses={"fr": 4.0, "pl": 5.0},
            tokens_per_character={"fr": 0.25, "pl": 0.5},
        )
        card.write_card(tmp_path, training, notice)
        text = (tmp_path / "README.md").read_text("utf-8")
        assert "license_name: CC0-1.0\nlanguage:\n  - fr\n  - pl\n" in text
        assert "| fr | 4.000 | 54.6 | 1.44 |" in text
        assert "6.00e+12 FLOP" in text
        assert (tmp_path / "COPYRIGHT").read_text() == "Copyright the authors\n"
        facts = json.loads((tmp_path / "training.json").read_text("utf-8"))
        assert facts["licence"] == "CC0-1.0"
        assert facts["flops_estimated"] == 6_000_000_000_000


# Importing this module prepares the process it is in, so a process of its own asks it.
ASK_THREADS = """
import os, sys, pathlib
import surroundings
print(surroundings.threads(dict(p.split("=") for p in sys.argv[2:]), 8, pathlib.Path(sys.argv[1])))
"""


class TestThreads:
    @pytest.mark.parametrize(
        ("environment", "limit", "expected"),
        [
            ([], None, 8),
            (["GALERNE_CPUS=1.5"], None, 2),
            (["GALERNE_CPUS=4", "LOCAL_WORLD_SIZE=2"], None, 2),
            (["GALERNE_CPUS=4", "OMP_NUM_THREADS=3"], None, 3),
            ([], "150000 100000", 2),
            ([], "max 100000", 8),
        ],
    )
    def test_no_more_than_the_workload_was_given(
        self, tmp_path: Path, environment: list[str], limit: str | None, expected: int
    ) -> None:
        """The user's word first, then the smallest of CPUs granted, cgroup quota and machine."""
        if limit:
            (tmp_path / "cpu.max").write_text(f"{limit}\n")
        asked = subprocess.run(  # noqa: S603 -- our own interpreter and text
            [sys.executable, "-c", ASK_THREADS, str(tmp_path), *environment],
            cwd=EXAMPLE,
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(asked.stdout) == expected


class TestJobFile:
    def test_it_takes_along_every_file_that_training_imports(self) -> None:
        """`files:` names all scripts beside train.py, which would otherwise not start."""
        job = yaml.safe_load((EXAMPLE / "galerne.yaml").read_text("utf-8"))
        scripts = {file.name for file in EXAMPLE.glob("*.py")} - {"corpus.py"}
        assert set(job["files"]) == scripts | {"config.json"}
