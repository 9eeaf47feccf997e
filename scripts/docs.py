"""Write docs/layers.md, docs/cli.md and the table in docs/diagnose.md from the code; with --check,
fail if they are stale."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from goturn.cli import cli as goturn_cli
from torchcaffe.cli import cli as torchcaffe_cli
from torchcaffe.diagnosis.hypotheses._registry import all_hypotheses
from torchcaffe.diagnosis.training.diagnose import OTHERS
from torchcaffe.diagnosis.training.hypotheses import modules as training_modules
from torchcaffe.layers._registry import LayerType, layer_types
from torchcaffe.proto.schema import LayerParameter

DOCS = Path(__file__).parent.parent / "docs"


def layers_page() -> str:
    """Every layer type, from the registry and the plan functions' docstrings."""
    types = layer_types()
    lines = [
        "# Layers",
        "",
        f"The {len(types)} layer types that torchcaffe computes. Written by `make docs` from the",
        "layer files; [numerics](numerics.md) explains the exactness classes.",
        "",
        "| type | formula | exactness | gradient | in place | since |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind in types.values():
        gradient = kind.gradient if kind.differentiable else "none"
        formula = kind.doc.splitlines()[0].replace("|", "\\|")
        lines.append(
            f"| [{kind.name}](#{kind.name.lower()}) | {formula} | {kind.exactness} | {gradient} "
            f"| {kind.in_place} | {kind.since} |"
        )
    for kind in types.values():
        lines += ["", f"## {kind.name}", "", "```text", kind.doc, "```", *_parameters(kind)]
    return "\n".join(lines) + "\n"


def _parameters(kind: LayerType) -> list[str]:
    """The parameter message with its defaults, as the schema has them."""
    lines: list[str] = []
    for param in kind.params:
        lines += ["", f"`{param}`", "", "| field | kind | default |", "| --- | --- | --- |"]
        for field in LayerParameter.fields[param].message.fields.values():
            of = field.of or (", ".join(field.enum.numbers) if field.enum else field.kind)
            default = "" if field.repeated or field.kind == "message" else f"`{field.default!r}`"
            lines.append(f"| {field.name} | {'list of ' * field.repeated}{of} | {default} |")
    return lines or ["", "No parameters."]


def cli_page() -> str:
    """The help of every command of both programs."""
    lines = ["# Command line", "", "Written by `make docs` from the commands' own help."]
    for program, cli in (("torchcaffe", torchcaffe_cli), ("goturn", goturn_cli)):
        for title, text in _help(program, cli, None):
            lines += ["", f"## {title}", "", "```text", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _help(
    name: str, command: click.Command, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    """Title and help of a command, then of those below it."""
    context = click.Context(command, parent=parent, info_name=name, max_content_width=88)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            yield from _help(verb, below, context)


def diagnose_page() -> str:
    """docs/diagnose.md with its two tables, between their marks, written anew."""
    page = _between((DOCS / "diagnose.md").read_text(), "identifiers", _causes())
    results = json.loads((DOCS / "diagnose-suite.json").read_text())
    return _between(page, "suite", _suite(list(results.values())))


def _between(page: str, mark: str, lines: list[str]) -> str:
    """The page with ``lines`` between the two comments of that name."""
    first, last = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    start, end = page.index(first) + len(first), page.index(last)
    return page[:start] + "\n\n" + "\n".join(lines) + "\n\n" + page[end:]


def _suite(results: list[dict[str, Any]]) -> list[str]:
    """Each cause: in how many ports it was planted, found, and found where it was not."""
    lines = ["| cause | planted | found | found where it was not |", "| --- | --- | --- | --- |"]
    total = [0, 0, 0]
    for name in sorted({name for port in results for name in (*port["planted"], *port["found"])}):
        counts = [
            sum(name in port["planted"] for port in results),
            sum(name in port["planted"] and name in port["found"] for port in results),
            sum(name in port["found"] and name not in port["planted"] for port in results),
        ]
        total = [a + b for a, b in zip(total, counts, strict=True)]
        lines.append(f"| `{name}` | {counts[0]} | {counts[1]} | {counts[2]} |")
    lines.append(f"| all | {total[0]} | {total[1]} | {total[2]} |")
    several = [port for port in results if len(port["planted"]) > 1]
    right = [port for port in results if not port["planted"]]
    whole = sum(sorted(port["planted"]) == sorted(port["found"]) for port in several)
    alarms = sum(bool(port["found"] or port["unexplained"]) for port in right)
    return [
        *lines,
        "",
        f"{len(results)} ports. Recall {total[1] / total[0]:.1%}, precision "
        f"{total[1] / (total[1] + total[2]):.1%}. Of {len(several)} ports with two or three "
        f"causes, {whole} were explained whole. False alarms in {alarms} of {len(right)} right "
        f"ports.",
    ]


def _causes() -> list[str]:
    """Each identifier with what a port does that has it."""
    known = {name: found.doc for name, found in all_hypotheses().items()}
    for module in training_modules():
        known.setdefault(module.IDENTIFIER, _sentence(module.__doc__))
    for name, sentence in OTHERS.items():
        known.setdefault(name, sentence)
    return [
        "| cause | your port |",
        "| --- | --- |",
        *(f"| `{name}` | {' '.join(doc.split())} |" for name, doc in sorted(known.items())),
    ]


def _sentence(doc: str) -> str:
    """What follows an identifier in a module's docstring."""
    said = doc.partition(": ")[2].strip()
    return said[:1].upper() + said[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a page is stale")
    check = parser.parse_args().check
    stale = []
    pages = (
        ("layers.md", layers_page()),
        ("cli.md", cli_page()),
        ("diagnose.md", diagnose_page()),
    )
    for name, page in pages:
        path = DOCS / name
        if path.exists() and path.read_text() == page:
            continue
        stale.append(name)
        if not check:
            path.write_text(page)
    if check and stale:
        sys.exit(f'docs/{", docs/".join(stale)}: stale; run "make docs"')


if __name__ == "__main__":
    main()
