"""The demo: a whole sovereign AI cloud doing its job on one machine, told as commands that anyone can type.

It starts `galerne up` on a data directory of its own, plays every role with the `galerne` command and
the unchanged `openai` package, and leaves nothing running. What it prints is what the programs print.
"""

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI
from rich.console import Console

ROOT = Path(__file__).parents[2]
HERE = ROOT / "examples"
BIN = Path(sys.executable).parent
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
USAGE_SECONDS_MAX = 30
QUESTION = "What is the capital of France, and what is it known for? Answer in two sentences."

console = Console(highlight=False)


class DemoFailedError(Exception):
    """A step did not do what it must; the demo ends with exit code 1."""


class Story:
    """Runs commands as one customer, and shows each before its output."""

    def __init__(self, directory: Path, *, api_port: int, gateway_port: int) -> None:
        self.directory = directory
        self.gateway = f"http://127.0.0.1:{gateway_port}"
        self.env = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "GALERNE_DATA_DIR": str(directory),
            "GALERNE_CONFIG": str(directory / "customer.toml"),
            "GALERNE_API__PORT": str(api_port),
            "GALERNE_GATEWAY__PORT": str(gateway_port),
            "GALERNE_GATEWAY_URL": self.gateway,
            "GALERNE_SITE__NAME": "brest",
            "GALERNE_SITE__COUNTRY": "FR",
            "GALERNE_SITE__OPERATOR": "Galerne demo",
            "GALERNE_SITE__GRID_ZONE": "FRA",
            "GALERNE_SITE__PUE": "1.2",
        }
        for name in ("GALERNE_URL", "GALERNE_API_KEY", "GALERNE_PROJECT"):
            self.env.pop(name, None)
        self._step = 0

    def step(self, title: str) -> None:
        self._step += 1
        console.print()
        console.print(f"[bold blue]── {self._step}. {title}", soft_wrap=True)

    def run(self, *arguments: str, expect: int = 0, show: bool = True) -> None:
        """Run `galerne …` on the terminal. Raises `DemoFailedError` where it ends otherwise."""
        if show:
            console.print(f"[bold]$ galerne {shlex.join(arguments)}", soft_wrap=True)
        done = subprocess.run([str(BIN / "galerne"), *arguments], env=self.env, check=False)
        if done.returncode != expect:
            raise DemoFailedError(
                f"galerne {shlex.join(arguments)} ended with {done.returncode}, not {expect}"
            )

    def ask(self, *arguments: str) -> str:
        """Run `galerne …` and return what it printed."""
        done = subprocess.run(
            [str(BIN / "galerne"), *arguments],
            env=self.env,
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise DemoFailedError(f"galerne {shlex.join(arguments)} ended with {done.returncode}")
        return done.stdout


def main() -> int:
    """Tell the story from the first organization to the verified proof."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--directory", type=Path, default=ROOT / ".galerne" / "demo", help="kept between runs"
    )
    arguments = parser.parse_args()
    directory = arguments.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "customer.toml").unlink(missing_ok=True)
    api_port, gateway_port = free_ports(2)
    story = Story(directory, api_port=api_port, gateway_port=gateway_port)
    began = time.monotonic()
    try:
        with platform(story):
            tell(story)
    except DemoFailedError as error:
        console.print(f"[bold red]the demo failed:[/] {error}")
        console.print(f"the platform's log is in {directory / 'up.log'}")
        return 1
    console.print(f"\nThe demo took {time.monotonic() - began:.0f} s. Nothing is left running.")
    return 0


def tell(story: Story) -> None:
    rent(story)
    train(story)
    serve(story)
    refuse(story)
    account(story)
    prove(story)
    console.print(
        f"""
[bold]What next[/]
  make up                          the platform, until Ctrl-C
  API                              http://127.0.0.1:8700/api/v1/openapi.json
  OpenAI-compatible endpoint       http://127.0.0.1:8701/v1
  docs/guides/getting-started.md   the same by hand, step by step
  {story.directory}
                                   everything this demo kept: delete it to start afresh"""
    )


def rent(story: Story) -> None:
    story.step("An organization in France, with a project whose data may be in France only")
    story.run(
        *("orgs", "create", "Institut de démonstration", "--country", "FR"),
        *("--owner-email", "owner@example.fr", "--owner-name", "Anne Owner"),
        *("--store-context", "customer"),
    )
    story.run("projects", "create", "langues", "--label", "FR")
    story.step("The fleet: this machine, and simulated sites that serve only what names them")
    operator = {**story.env, "GALERNE_CONFIG": str(story.directory / "none.toml")}
    for name in ("essonne", "neighbours"):
        import_fleet(HERE / "fleets" / f"{name}.yaml", operator)
    story.run("sites")
    story.run("nodes", "--site", "brest")


def import_fleet(path: Path, operator: Mapping[str, str]) -> None:
    shown = path.relative_to(ROOT)
    console.print(f"[bold]$ galerne fleet import {shown}[/]   (as the operator)")
    command = [str(BIN / "galerne"), "fleet", "import", str(path), "--quiet"]
    done = subprocess.run(command, env=operator, check=False)
    if done.returncode:
        raise DemoFailedError(f"the fleet file {shown} was not taken")


def train(story: Story) -> None:
    story.step("Real European text becomes a dataset, with its licence and label")
    corpus = story.directory / "european-prose"
    script = HERE / "pretrain" / "corpus.py"
    console.print(f"[bold]$ python {script.relative_to(ROOT)} --out {corpus.name}")
    done = subprocess.run([sys.executable, str(script), "--out", str(corpus)], check=False)
    if done.returncode:
        raise DemoFailedError("the corpus could not be fetched from its package")
    story.run("datasets", "push", str(corpus), "--name", "european-prose", "--label", "FR")
    story.step(
        "A training job: a small Mistral-architecture model, from scratch, for about a minute"
    )
    story.run("apply", "-f", str(HERE / "pretrain" / "galerne.yaml"), "--yes")
    story.run("models", "show", "europe-mini")


def serve(story: Story) -> None:
    story.step("The embedded instruct model becomes an endpoint")
    story.run("apply", "-f", str(HERE / "deployments" / "chat.yaml"), "--yes")
    story.step("The unchanged openai package asks it")
    secret = read_key(story.directory / "customer.toml")
    client = OpenAI(base_url=f"{story.gateway}/v1", api_key=secret, max_retries=5)
    console.print(f"[bold]>>>[/] OpenAI(base_url='{story.gateway}/v1', api_key='gal_…')")
    console.print(
        f"[bold]>>>[/] client.chat.completions.create(model='chat', stream=True, …)  # {QUESTION}",
        soft_wrap=True,
    )
    stream_answer(client)


def stream_answer(client: OpenAI) -> None:
    words = 0
    stream = client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=80,
        temperature=0,
    )
    for chunk in stream:
        for choice in chunk.choices:
            text = choice.delta.content or ""
            words += bool(text.strip())
            console.print(text, end="", style="cyan")
        if chunk.usage is not None:
            said = chunk.usage.model_dump_json(exclude_none=True)
            console.print(f"\n[dim]usage: {said}", soft_wrap=True)
    if words < 3:
        raise DemoFailedError("the model answered nothing")


def refuse(story: Story) -> None:
    story.step(
        "The same work, sent to a site outside the label: refused, and the refusal is on record"
    )
    story.run("apply", "-f", str(HERE / "demo" / "elsewhere.yaml"), "--yes", expect=3)


def account(story: Story) -> None:
    story.step("The endpoint stops, and the account stands: tokens, CPU, energy, carbon, euro")
    story.run("stop", "chat")
    story.run("wait", "chat", "--timeout", "60s")
    wait_for_usage(story)
    story.run("usage")


def wait_for_usage(story: Story) -> None:
    """Wait for the last batch: use leaves engines and gateway beside the work, not in its way."""
    deadline = time.monotonic() + USAGE_SECONDS_MAX
    with console.status("waiting for the last usage records"):
        while time.monotonic() < deadline:
            summary = json.loads(story.ask("usage", "--json"))
            groups = summary["groups"]
            if len(groups) >= 2 and all(group["energy_microwatt_hours"] for group in groups):
                return
            time.sleep(1)


def prove(story: Story) -> None:
    story.step("The proof of residency, verified offline")
    proof = story.directory / "proof.json"
    job = json.loads(story.ask("describe", "pretrain-europe", "--json"))["id"]
    story.run("proof", "show", job, "--output", str(proof))
    key = story.directory / "log-verifier-key.txt"
    story.run("proof", "verify", str(proof), "--key", str(key))


@contextmanager
def platform(story: Story) -> Iterator[None]:
    """Run `galerne up` beside the story, and end it with the story."""
    console.print(f"[bold]$ galerne up[/]   (its log: {story.directory / 'up.log'})")
    with (story.directory / "up.log").open("ab") as log:
        up = subprocess.Popen([str(BIN / "galerne"), "up"], env=story.env, stdout=log, stderr=log)
    try:
        wait_until_ready(up, story)
        yield
    finally:
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            up.kill()


def wait_until_ready(up: subprocess.Popen[bytes], story: Story) -> None:
    url = f"http://127.0.0.1:{story.env['GALERNE_API__PORT']}/readyz"
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if up.poll() is not None:
            raise DemoFailedError(f"galerne up ended with {up.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise DemoFailedError(f"galerne up was not ready within {START_SECONDS_MAX} s")


def read_key(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" = ")
        if name == "api_key":
            return str(json.loads(value))
    raise DemoFailedError(f"{path} holds no key")


def free_ports(count: int) -> Sequence[int]:
    """Find ports that nothing listens on; a demo should not mind what else runs here."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


if __name__ == "__main__":
    sys.exit(main())
