"""Looks for secrets that servers repeat: `python -m tools.canaries`.

It plants a secret wherever one can be given (keys, headers, queries, a proxy's credentials, pages of
metrics), measures servers that repeat each in every part of every answer, and searches all that is left
or was shown. docs/reliability.md has the figures.
"""

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

from tools.echo_server import ENCODINGS, EchoServer, echo_server

CANARIES = {
    "CANARY_KEY": "sk-canary/7f3a91+c5d2=e84b60",
    "CANARY_HEADER": "canary.header~19c4&f0a7<b3",
    "CANARY_QUERY": "canary+query/5b2e%c0d1",
    "CANARY_PAGE": "canary-page_82af-0c9d17",
    "ANTHROPIC_API_KEY": "sk-ant-canary-44d0b7a9e1c35f",
}
PROXY_USER, PROXY_PASSWORD = "canary-user-6f1e", "canary:pass/b8d2c7"
SCENARIO = """
name: canaries
seed: 3
store_text: STORE
stop_on_refusals: false
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 16}
arrivals: {kind: closed}
stages: [{concurrency: 2}]
timing: {warmup: 0s, steady: 1s, drain: 2s}
telemetry:
  interval: 250ms
  idle: 0s
  codecarbon: false
  prometheus:
    - {name: page, url: "URL/page/metrics", series: [canary_gauge],
       headers: {Authorization: "Bearer ${CANARY_PAGE}"}}
budget: {usd: 1}
targets:
TARGETS
"""
URL_TARGET = """  - {kind: url, name: NAME, url: "BASE", EXTRA,
     api_key_env: CANARY_KEY, headers: {X-Team: "team-${CANARY_HEADER}"}, query: {sig: "${CANARY_QUERY}"}}
"""
API_TARGET = """  - {kind: api, name: bought, provider: anthropic, model: m, base_url: "BASE",
     price: {input_per_million_usd: 1, output_per_million_usd: 2, source: round example, basis: example}}
"""
GOOD_LISTS = ("tgi", "ollama", "llamacpp")
BAD_LISTS = ("refuse", "redirect", "html", "odd", "down")

_ENDED = "ended with exit code "
_MANY_VERBS = f"""
import json, sys
from observatory.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        print(f"\\n{_ENDED}{{end.code or 0}}", flush=True)
"""
"""Importing the program for each verb would take most of the time."""


@dataclass
class Found:
    """Where a secret was found: the place, and in which encoding."""

    hits: list[str] = field(default_factory=list)
    places: int = 0
    characters: int = 0

    def look(self, where: str, text: str) -> None:
        """Search one text for every secret in every encoding."""
        self.places += 1
        self.characters += len(text)
        folded = text.lower()
        for name, needles in NEEDLES.items():
            for needle in needles:
                if needle.lower() in folded:
                    at = folded.index(needle.lower())
                    self.hits.append(f"{where}: {name}: ...{text[max(0, at - 60) : at + 60]}...")
                    break


def _needles(secret: str) -> set[str]:
    """The secret in each encoding, without what depends on its neighbours, and a long piece of it."""
    found = {encode(secret) for encode in ENCODINGS.values()}
    found |= {base64.b64encode(b"xx"[:n] + secret.encode()).decode()[4:-4] for n in range(3)}
    return {text for text in found | {secret[:12], secret[-12:]} if len(text) >= 10}


NEEDLES = {
    name: _needles(secret)
    for name, secret in {
        **CANARIES, "proxy's user": PROXY_USER, "proxy's password": PROXY_PASSWORD,
        "proxy's credentials": f"{PROXY_USER}:{PROXY_PASSWORD}",
    }.items()
}  # fmt: skip


class Search:
    """A workspace in which everything is measured and then searched."""

    def __init__(self, root: Path, server: EchoServer, proxy: EchoServer) -> None:
        self.root = root
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.proxy = f"127.0.0.1:{proxy.server_port}"
        self.found = Found()

    def run(self, *verbs: tuple[tuple[int, ...], list[str]]) -> None:
        """Run verbs one after another in one process, check their exit codes, search what they print."""
        credentials = f"{quote(PROXY_USER, safe='')}:{quote(PROXY_PASSWORD, safe='')}"
        proxy = f"http://{credentials}@{self.proxy}"
        inherited = {
            name: value for name, value in os.environ.items() if "proxy" not in name.lower()
        }
        for name in ("scenarios", "tmp"):
            (self.root / name).mkdir(exist_ok=True)
        with tempfile.TemporaryFile() as output:
            child = subprocess.Popen(
                [sys.executable, "-c", _MANY_VERBS, json.dumps([words for _, words in verbs])],
                cwd=self.root,
                env=inherited
                | CANARIES
                | {"http_proxy": proxy, "https_proxy": proxy, "TMPDIR": str(self.root / "tmp")}
                | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            self._watch(child)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        ended = [int(code) for code in re.findall(rf"^{_ENDED}(\d+)$", text, re.MULTILINE)]
        for (codes, arguments), code in zip(verbs, ended, strict=True):
            if code not in codes:
                raise RuntimeError(f"{' '.join(arguments)} ended with {code}:\n{text}")
        self.found.look("terminal", text)

    def _watch(self, child: "subprocess.Popen[bytes]") -> None:
        """Search every command line, which all users of a machine can read, until it ends."""
        seen: set[str] = set()
        while child.poll() is None:
            with suppress(psutil.Error):
                for process in psutil.Process(child.pid).children(recursive=True):
                    with suppress(psutil.Error):
                        seen.add(" ".join(process.cmdline()))
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.1)
        self.found.look("command lines", "\n".join(seen))

    def measure(self, store: bool) -> None:
        """One campaign of targets that are spoken to in every way."""
        scenarios = self.root / "scenarios"
        scenarios.mkdir()
        (scenarios / "canaries.yaml").write_text(
            SCENARIO.replace("TARGETS", self._targets())
            .replace("STORE", str(store).lower())
            .replace("URL", self.url)
        )
        (scenarios / "targets.yaml").write_text("targets:\n" + self._listed())
        self.run(((0, 3), ["run", "canaries", "--yes", "--publish"]))

    def _targets(self) -> str:
        ways = {
            "vllm": f"{self.url}/vllm/v1",
            "sglang": f"{self.url}/sglang/v1",
            "nameless": f"{self.url}/nameless/v1",
            "proxied": "http://service.invalid/llamacpp/v1",
        }
        extra = {"sglang": "model: m, transport: sdk", "nameless": "wire: responses"}
        targets = [
            _url_target(name, base, extra.get(name, "model: m")) for name, base in ways.items()
        ]
        return "".join([*targets, API_TARGET.replace("BASE", f"{self.url}/anthropic/v1")])

    def _listed(self) -> str:
        checked = [
            _url_target(name, f"{self.url}/{name}/v1", "model: m")
            for name in (*GOOD_LISTS, *BAD_LISTS)
        ]
        return "".join([*checked, _url_target("tunnel", "https://service.invalid/v1", "model: m")])

    def show(self) -> None:
        """Every verb that shows what was measured, and a check of each server that answers badly."""
        check, show = ["target", "check"], ["runs", "show", "last"]
        self.run(
            *(((0,), [*check, name]) for name in GOOD_LISTS),
            *(((2, 4), [*check, name]) for name in (*BAD_LISTS, "tunnel")),
            ((0,), show),
            ((0,), [*show, "--json"]),
            ((0,), ["sql", "select error_text, model_reported from attempts", "--limit", "0"]),
            ((0,), ["export", "last", "--format", "csv", "--to", str(self.root / "export")]),
        )

    def search(self) -> None:
        """Every file that is left, Parquet as text; the database lies there as its export."""
        for path in sorted(self.root.rglob("*")):
            if not path.is_file() or "scenarios" in path.relative_to(self.root).parts:
                continue
            with suppress(OSError):
                for text in _texts(path):
                    self.found.look(str(path.relative_to(self.root)), text)


def _url_target(name: str, base: str, extra: str) -> str:
    return URL_TARGET.replace("NAME", name).replace("BASE", base).replace("EXTRA", extra)


def _texts(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        import polars as pl

        frame = pl.read_parquet(path)
        for name, kind in frame.schema.items():
            if kind == pl.String:
                yield "\n".join(frame.get_column(name).drop_nulls().unique().to_list())
        return
    yield path.read_bytes().decode("utf-8", "replace")


def search(root: Path, *, store_text: bool = True) -> tuple[Found, set[str]]:
    """Measure and search in an empty folder; what was found, and what the servers were sent."""
    with echo_server() as server, echo_server() as proxy:
        one = Search(root, server, proxy)
        one.measure(store_text)
        one.show()
        one.search()
        return one.found, server.seen | proxy.seen


def main() -> int:
    """Print every place in which a secret was found; exit code 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m tools.canaries", description=__doc__)
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, and to leave there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.keep or Path(scratch)
        root.mkdir(parents=True, exist_ok=True)
        found, _ = search(root)
    for hit in found.hits:
        print(hit)
    print(
        f"{len(NEEDLES)} secrets in {len(ENCODINGS)} encodings, {found.places} texts with "
        f"{found.characters:,} characters searched: {len(found.hits)} hits"
    )
    return 1 if found.hits else 0


if __name__ == "__main__":
    raise SystemExit(main())
