"""Train a small Mistral-architecture language model from scratch; the same file trains a large one.

The loop, the parallelism and the optimizer are the `transformers` trainer's, and every number is
in `config.json`. This file adds what a job on shared machines needs: it resumes from the newest
complete checkpoint, saves one and leaves with code 143 on SIGTERM, keeps to a time budget over
all attempts, and says how far it is. It never uses the network. Fetching text is left to
`corpus.py`, where to run and what to register to the platform.

Exit codes: 0 trained and saved; 2 wrong arguments, configuration or data; 143 stopped by SIGTERM,
with a checkpoint to resume from.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import surroundings  # isort: split -- the libraries below read the environment when imported
import torch
from card import Training, write_card
from checkpoints import Checkpoint, mark_complete, newest_complete, write_atomically
from progress import Budget, Point, Schedule, progress_line, result_line
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.utils.logging import disable_progress_bar

END_OF_TEXT = "</s>"
# Keys of each section of the configuration; those of None go to the library as they are.
SECTIONS: dict[str, set[str] | None] = {
    "budget": {"steps", "checkpoint_seconds"},
    "tokenizer": {"vocabulary"},
    "data": {"sequence_length", "held_out_fraction", "held_out_characters_max"},
    "model": None,
    "initialization": {"embedding_standard_deviation"},
    "schedule": {"warmup_fraction", "final_learning_rate_fraction"},
    "trainer": None,
}
SAMPLE_PROMPT_WORDS = 4
SAMPLE_TOKENS = 40

Sequence = dict[str, torch.Tensor]


class InputError(Exception):
    """The arguments, the configuration or the data are not usable; the message says which."""


def main() -> int:
    options = parse()
    disable_progress_bar()
    try:
        return train(options)
    except InputError as error:
        say(f"error: {error}")
        return 2
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def parse() -> argparse.Namespace:
    outputs = Path(os.environ.get("GALERNE_OUTPUTS", "."))
    parser = argparse.ArgumentParser(description="Train a causal language model from scratch.")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("GALERNE_INPUT_CORPUS"),
        help="dataset directory made by corpus.py (default $GALERNE_INPUT_CORPUS)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=outputs / "model",
        help="where the model goes (default $GALERNE_OUTPUTS/model)",
    )
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=os.environ.get("GALERNE_CHECKPOINTS", "checkpoints"),
        help="directory that survives attempts (default $GALERNE_CHECKPOINTS)",
    )
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    parser.add_argument("--steps", type=int, help="stop after this many steps")
    parser.add_argument(
        "--max-seconds",
        type=float,
        help="stop after this much training, start-up not counted, over all attempts",
    )
    parser.add_argument("--samples", type=int, default=3, help="languages to show a sample of")
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data is needed, or GALERNE_INPUT_CORPUS")
    if (options.steps or 1) < 1 or (options.max_seconds or 1) <= 0:
        parser.error("--steps and --max-seconds must be positive")
    return options


def train(options: argparse.Namespace) -> int:
    config = read_config(options.config)
    budget = Budget(options.steps or config["budget"]["steps"], options.max_seconds)
    dataset = Dataset.read(options.data, **config["data"])
    arguments = trainer_arguments(config["trainer"], options.checkpoints, budget)
    set_seed(arguments.seed)

    with arguments.main_process_first(local=False):
        tokenizer = tokenizer_for(dataset, options.checkpoints, **config["tokenizer"])
    training_set, held_out = dataset.tokenize(tokenizer)
    fingerprint = sha256(json.dumps([config["model"], len(tokenizer), dataset.sha256]).encode())
    resumed = checkpoint_to_resume(options.checkpoints, fingerprint)
    model = new_model(config["model"], tokenizer, **config["initialization"])
    say(
        f"data={dataset.facts['name']} languages={','.join(held_out)}"
        f" tokens={len(training_set) * dataset.sequence_length}"
        f" parameters={model.num_parameters()} vocabulary={len(tokenizer)}"
        f" ranks={arguments.world_size} threads={torch.get_num_threads()}",
    )
    sequences_per_step = (
        arguments.world_size * arguments.train_batch_size * arguments.gradient_accumulation_steps
    )
    job = Job(
        budget=budget,
        checkpoint_seconds=config["budget"]["checkpoint_seconds"],
        fingerprint=fingerprint,
        point=resumed.point if resumed else Point(0, 0, 0.0),
        tokens_per_step=sequences_per_step * dataset.sequence_length,
    )
    trainer = BudgetTrainer(
        model=model,
        args=arguments,
        # Whole batches, so that every step sees the same number of tokens.
        train_dataset=training_set[: len(training_set) // sequences_per_step * sequences_per_step],
        eval_dataset=held_out,
        processing_class=tokenizer,
        callbacks=[job],
    )
    trainer.schedule = Schedule(**config["schedule"])
    trainer.job = job
    trainer.remove_callback(PrinterCallback)
    run(trainer, resumed)
    if job.interrupted:
        say(f"interrupted at step={job.point.step}; the next attempt resumes there")
        return surroundings.INTERRUPTED
    finish(trainer, dataset, tokenizer, options)
    return 0


def run(trainer: "BudgetTrainer", resumed: Checkpoint | None) -> None:
    if resumed is None:
        trainer.train()
    elif trainer.job.is_finished(resumed.point):
        say("the budget was used up by an earlier attempt; finishing")
        trainer._load_from_checkpoint(str(resumed.path))  # noqa: SLF001 -- there is no public way
    else:
        trainer.train(resume_from_checkpoint=str(resumed.path))


def finish(
    trainer: "BudgetTrainer",
    dataset: "Dataset",
    tokenizer: PreTrainedTokenizerFast,
    options: argparse.Namespace,
) -> None:
    """Measure the loss on held-out text, save the model with its card, and show what it says."""
    metrics = trainer.evaluate()
    losses = {code: metrics[f"eval_{code}_loss"] for code in sorted(dataset.held_out)}
    trainer.save_model(str(options.out))
    if not trainer.is_world_process_zero():
        return
    # A pickle with paths of this machine: of no use to who loads the model, and not safe to load.
    (options.out / "training_args.bin").unlink(missing_ok=True)
    training = Training(
        name=options.out.resolve().name,
        dataset=dataset.facts,
        dataset_sha256=dataset.sha256,
        parameters=trainer.model.num_parameters(),
        vocabulary=len(tokenizer),
        point=trainer.job.point,
        losses=losses,
        tokens_per_character=dataset.tokens_per_character(tokenizer),
    )
    write_card(options.out, training, options.data / "COPYRIGHT")
    checkpoint = options.checkpoints / f"checkpoint-{training.point.step}"
    print(
        result_line(
            training.point,
            losses,
            parameters=training.parameters,
            checkpoint=str(checkpoint),
        ),
    )
    show_samples(options.out, dataset, options.samples)


def new_model(
    numbers: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    *,
    embedding_standard_deviation: float,
) -> MistralForCausalLM:
    model = MistralForCausalLM(
        MistralConfig(
            vocab_size=len(tokenizer),
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **numbers,
        ),
    )
    # Embeddings far apart from the start make a short training learn about twice as fast.
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=embedding_standard_deviation)
    return model


def read_config(path: Path) -> dict[str, dict[str, Any]]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if not isinstance(config, dict) or set(config) != set(SECTIONS):
        raise InputError(f"{path} must have the sections {', '.join(SECTIONS)}")
    for section, keys in SECTIONS.items():
        if not isinstance(config[section], dict) or keys not in (None, set(config[section])):
            raise InputError(f"{path}: section {section} must have {', '.join(sorted(keys or ()))}")
    return config


def trainer_arguments(
    numbers: dict[str, Any], checkpoints: Path, budget: Budget
) -> TrainingArguments:
    """Arguments of the trainer: the file's numbers, and what must be so for a job of ours."""
    on_gpu = torch.cuda.is_available()
    try:
        return TrainingArguments(
            output_dir=str(checkpoints),
            max_steps=budget.steps,
            use_cpu=not on_gpu,
            ddp_find_unused_parameters=False,
            ddp_backend="gloo" if "WORLD_SIZE" in os.environ and not on_gpu else None,
            dataloader_pin_memory=on_gpu,
            save_strategy="no",  # By time, and on SIGTERM: see Job.
            logging_first_step=True,
            logging_nan_inf_filter=False,
            disable_tqdm=True,
            report_to=[],
            log_level="error",
            **numbers,
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"section trainer of the configuration: {error}") from None


@dataclass(frozen=True)
class Dataset:
    """Text by language, each with its end held out, and what `dataset.json` says of it."""

    facts: dict[str, Any]
    sha256: str
    training: dict[str, str]
    held_out: dict[str, str]
    sequence_length: int

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        sequence_length: int,
        held_out_fraction: float,
        held_out_characters_max: int,
    ) -> "Dataset":
        training, held_out = {}, {}
        try:
            raw = (path / "dataset.json").read_bytes()
            facts = json.loads(raw)
            for code, expected in facts["languages"].items():
                content = (path / f"{code}.txt").read_bytes()
                if sha256(content) != expected["sha256"]:
                    raise InputError(f"{path / code}.txt is not what dataset.json describes")
                text = content.decode()
                kept = min(int(len(text) * held_out_fraction), held_out_characters_max)
                # Between paragraphs, so that no sentence is on both sides.
                cut = text.rfind("\n", 0, len(text) - kept) + 1
                training[code], held_out[code] = text[:cut], text[cut:]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is not a dataset made by corpus.py: {error!r}") from None
        return cls(facts, sha256(raw), training, held_out, sequence_length)

    def tokenize(
        self,
        tokenizer: PreTrainedTokenizerFast,
    ) -> tuple[list[Sequence], dict[str, list[Sequence]]]:
        """Sequences of equal length: all languages to train on, and the held-out ones apart."""
        training = self._sequences(tokenizer, self.training.values())
        held_out = {}
        for code, text in sorted(self.held_out.items()):
            held_out[code] = self._sequences(tokenizer, [text])
            if not held_out[code]:
                raise InputError(f"the text in {code!r} is too short to hold any of it out")
        return training, held_out

    def _sequences(
        self,
        tokenizer: PreTrainedTokenizerFast,
        texts: Iterable[str],
    ) -> list[Sequence]:
        encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        end = tokenizer.eos_token_id
        stream = torch.tensor([token for ids in encoded for token in [*ids, end]])
        count = len(stream) // self.sequence_length
        whole = stream[: count * self.sequence_length].view(count, self.sequence_length)
        return [{"input_ids": sequence, "labels": sequence} for sequence in whole]

    def tokens_per_character(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
        return {
            code: len(tokenizer(text, add_special_tokens=False)["input_ids"]) / len(text)
            for code, text in sorted(self.held_out.items())
        }


def tokenizer_for(
    dataset: Dataset, checkpoints: Path, *, vocabulary: int
) -> PreTrainedTokenizerFast:
    """Byte-level BPE over the training text; made once per run, since the weights depend on it."""
    file = checkpoints / "tokenizer.json"
    if not file.is_file():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        lines = (
            line for text in dataset.training.values() for line in text.splitlines(keepends=True)
        )
        tokenizer.train_from_iterator(
            lines,
            trainers.BpeTrainer(
                vocab_size=vocabulary,
                special_tokens=[END_OF_TEXT],
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
        checkpoints.mkdir(parents=True, exist_ok=True)
        write_atomically(file, tokenizer.to_str())
    return PreTrainedTokenizerFast(
        tokenizer_file=str(file),
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
    )


def checkpoint_to_resume(root: Path, fingerprint: str) -> Checkpoint | None:
    newest, ignored = newest_complete(root)
    for path, reason in ignored:
        say(f"ignored {path.name}: {reason}")
    if newest is None:
        return None
    if newest.fingerprint != fingerprint:
        raise InputError(
            f"{newest.path} is of another model or text; name an empty --checkpoints directory",
        )
    say(f"resuming from step={newest.point.step}")
    return newest


class Job(TrainerCallback):  # type: ignore[misc]
    """What a job on shared machines adds to training: budget, SIGTERM, checkpoints, progress."""

    def __init__(
        self,
        *,
        budget: Budget,
        checkpoint_seconds: float,
        fingerprint: str,
        point: Point,
        tokens_per_step: int,
    ) -> None:
        self.budget = budget
        self.checkpoint_seconds = checkpoint_seconds
        self.fingerprint = fingerprint
        self.point = point
        self.tokens_per_step = tokens_per_step
        self.interrupted = False
        self._asked_to_stop = False
        self._started = 0.0
        self._saved = point
        self._reported = point

    def is_finished(self, point: Point) -> bool:
        return self.budget.done_fraction(point.step, point.elapsed_seconds) >= 1

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        # Time of earlier attempts counts, so that a retried job does not train twice as long.
        self._started = time.monotonic() - self.point.elapsed_seconds
        signal.signal(signal.SIGTERM, self._ask_to_stop)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        asked, elapsed_seconds = self._agree(args.device)
        self.interrupted = asked
        self.point = Point(
            state.global_step,
            self.point.tokens + self.tokens_per_step,
            elapsed_seconds,
        )
        since_saved_seconds = elapsed_seconds - self._saved.elapsed_seconds
        control.should_save = since_saved_seconds >= self.checkpoint_seconds
        if asked or self.is_finished(self.point):
            control.should_training_stop = True
            control.should_log = not asked
            control.should_save = True

    def on_log(
        self, _args: Any, state: TrainerState, _control: Any, logs: dict[str, float], **_: Any
    ) -> None:
        if not state.is_world_process_zero or "loss" not in logs:
            return
        seconds = self.point.elapsed_seconds - self._reported.elapsed_seconds
        print(
            progress_line(
                self.point,
                of=self.budget.steps_expected(self.point.step, self.point.elapsed_seconds),
                loss=logs["loss"],
                tokens_per_second=(self.point.tokens - self._reported.tokens) / max(seconds, 1e-6),
            ),
        )
        self._reported = self.point

    def on_save(
        self, args: TrainingArguments, state: TrainerState, _control: Any, **_: Any
    ) -> None:
        if args.world_size > 1:
            torch.distributed.barrier()  # Every rank writes files of its own into a checkpoint.
        self._saved = self.point
        if state.is_world_process_zero:
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            mark_complete(path, self.point, self.fingerprint)

    def on_train_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        # All that can be saved for a resume is saved: from here on, leaving at once loses nothing.
        signal.signal(signal.SIGTERM, surroundings.leave)

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def _agree(self, device: torch.device) -> tuple[bool, float]:
        """Let all ranks stop at the same step and see the same time."""
        seen = [float(self._asked_to_stop), time.monotonic() - self._started]
        if torch.distributed.is_initialized():
            together = torch.tensor(seen, device=device, dtype=torch.float64)
            torch.distributed.all_reduce(together, torch.distributed.ReduceOp.MAX)
            seen = together.tolist()
        return bool(seen[0]), seen[1]


class BudgetTrainer(Trainer):  # type: ignore[misc]
    """The library's trainer, with a learning rate that follows the budget, be it steps or time."""

    schedule: Schedule
    job: Job

    def create_scheduler(
        self,
        num_training_steps: int,  # noqa: ARG002 -- the base class names it
        optimizer: torch.optim.Optimizer | None = None,
    ) -> torch.optim.lr_scheduler.LRScheduler:
        def rate(step: int) -> float:
            return self.schedule.rate(
                self.job.budget.done_fraction(step, self.job.point.elapsed_seconds),
            )

        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, rate)
        self._created_lr_scheduler = True
        return self.lr_scheduler


def show_samples(model_path: Path, dataset: Dataset, count: int) -> None:
    """Let the saved model continue a few held-out beginnings, read back as a user would."""
    model = MistralForCausalLM.from_pretrained(model_path).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_path)
    codes = sorted(dataset.held_out, key=lambda code: (-len(dataset.training[code]), code))
    for code in sorted(codes[:count]):
        prompt = " ".join(dataset.held_out[code].split()[:SAMPLE_PROMPT_WORDS])
        inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        made = model.generate(
            **inputs,
            max_new_tokens=SAMPLE_TOKENS,
            do_sample=True,
            temperature=0.7,
            top_k=40,
        )
        print(f"sample {code}: {' '.join(tokenizer.decode(made[0]).split())}")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def say(message: str) -> None:
    """Say something to people; once, however many ranks there are."""
    if os.environ.get("RANK", "0") == "0":
        print(f"train: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
