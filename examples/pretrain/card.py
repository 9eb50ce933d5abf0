"""Write what a trained model must carry: its card, its facts for programs, its copyright notice.

The figures come from `train.py`. Registering the model is left to the platform.
"""

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from progress import Point, flops, mean


@dataclass(frozen=True)
class Training:
    """Facts of a finished training, as the card tells them."""

    name: str
    dataset: dict[str, object]
    dataset_sha256: str
    parameters: int
    vocabulary: int
    point: Point
    losses: dict[str, float]
    tokens_per_character: dict[str, float]

    @property
    def licence(self) -> str:
        return str(self.dataset["licence"])


def write_card(out: Path, training: Training, copyright_file: Path) -> None:
    (out / "README.md").write_text(model_card(training), "utf-8")
    facts = asdict(training) | {
        "licence": training.licence,
        "flops_estimated": flops(training.parameters, training.point.tokens),
    }
    (out / "training.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    if copyright_file.is_file():
        shutil.copyfile(copyright_file, out / "COPYRIGHT")


def model_card(training: Training) -> str:
    source = training.dataset.get("source")
    origin = (
        f"{source.get('package')} {source.get('version')} ({source.get('registry')})"
        if isinstance(source, dict)
        else "not stated"
    )
    languages = "\n".join(f"  - {code}" for code in sorted(training.losses))
    rows = "\n".join(
        f"| {code} | {loss:.3f} | {math.exp(loss):.1f} | {bits_per_character(training, code):.2f} |"
        for code, loss in sorted(training.losses.items())
    )
    return f"""\
---
license: other
license_name: {training.licence}
language:
{languages}
library_name: transformers
pipeline_tag: text-generation
datasets:
  - {training.dataset["name"]}
---

# {training.name}

A small language model of the Mistral architecture, trained from scratch to show that the training
path works. It continues text; it does not follow instructions, and it knows little.

| | |
|---|---|
| Licence | {training.licence} (that of its text; see `COPYRIGHT`) |
| Text | {training.dataset["name"]}, from {origin} |
| Text, SHA-256 of `dataset.json` | `{training.dataset_sha256}` |
| Parameters | {training.parameters:,} |
| Vocabulary | {training.vocabulary:,} (byte-level BPE, trained on the same text) |
| Steps | {training.point.step:,} |
| Tokens seen | {training.point.tokens:,} |
| Training time | {training.point.elapsed_seconds:.0f} s |
| Compute | {flops(training.parameters, training.point.tokens):.2e} FLOP (estimate: \
6 x parameters x tokens) |

## Loss on held-out text

The end of each language's text was kept out of the training. Mean loss {mean(training.losses):.3f}
(nats per token); bits per character compare languages, perplexities do not.

| language | loss | perplexity | bits per character |
|---|--:|--:|--:|
{rows}
"""


def bits_per_character(training: Training, code: str) -> float:
    return training.losses[code] * training.tokens_per_character[code] / math.log(2)
