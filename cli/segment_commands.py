"""Commands about segments: list, show, new, check."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import diff_command, segment_explain_command, segment_scaffold
from cli.output import AsJson, answer, table
from domain.features import Feature

if TYPE_CHECKING:
    from segments.definition import Segment
    from segments.registry import Fault

app = typer.Typer(no_args_is_help=True)
diff_command.register(app)
segment_explain_command.register(app)
Name = Annotated[str, typer.Argument(metavar="SEGMENT", help="The segment's name; `campaigns segments list` has all.")]
_BAD_NEWS = 1


@app.command("list")
def list_segments(as_json: AsJson = False) -> None:
    """All segments, with their owners. Exit status 1: a file or a segment cannot be used; the others are listed."""
    from segments import registry

    found = list(registry.load().values())
    faults = registry.faults()
    payload = [_head(one) for one in found] + [{"name": one.name, "fault": one.sentence} for one in faults]
    rows = [(one.name, one.owner, _parameters(one), one.description) for one in found]
    answer(payload, as_json=as_json, text=table("", ["name", "owner", "parameters", "who is in it"], rows))
    _tell(faults)
    if faults:
        raise typer.Exit(_BAD_NEWS)


def _head(one: "Segment") -> dict[str, Any]:
    parameters = [
        {
            "name": each.name,
            "type": each.type.__name__,
            "default": each.default,
            "meaning": each.meaning,
            "must_be": each.must_be,
        }
        for each in one.parameters
    ]
    return {
        "name": one.name,
        "owner": one.owner,
        "kind": one.kind,
        "parameters": parameters,
        "needs": list(one.needs),
        "description": one.description,
    }


def _parameters(one: "Segment") -> str:
    return ", ".join(f"{each.name}={each.default}" for each in one.parameters)


def _tell(faults: "Iterable[Fault]") -> None:
    for fault in faults:
        sys.stderr.write(f"cannot be used: {fault.sentence}\n")


@app.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """One segment: its meaning, its columns, who would be in and who would not. An expression is shown too."""
    from segments import registry

    one = registry.parse(name)
    payload = _head(one) | {
        "details": one.details,
        "rule": _rule(one),
        "inside": list(one.inside),
        "outside": list(one.outside),
        "definition_hash": one.definition_hash,
        "defined_in": f"{one.file}:{one.line}",
    }
    head = f"{one.name}: {one.description}\nOwner: {one.owner}. Defined in {one.file}:{one.line}."
    answer(payload, as_json=as_json, text="\n\n".join([head, *_sections(one)]))


def _rule(one: "Segment") -> str | None:
    from segments.combined import CombinedSegment

    return str(one.rule) if isinstance(one, CombinedSegment) else None


def _sections(one: "Segment") -> Iterable[str]:
    from domain.features import BY_NAME
    from segments.examples import in_words

    if one.details:
        yield one.details
    if rule := _rule(one):
        yield f"Made of: {rule}"
    if one.parameters:
        told = [(each.name, str(each.default), each.must_be, each.meaning) for each in one.parameters]
        yield table("Parameters", ["name", "default", "must be", "meaning"], told)
    if one.needs:
        yield table("It looks at", ["feature", "unit", "meaning"], [_feature(BY_NAME[need]) for need in one.needs])
    examples = [("in", example) for example in one.inside] + [("out", example) for example in one.outside]
    if one.kind == "frame":
        asked = any("with" in example for _, example in examples)
        columns = [*one.needs, *(["with"] if asked else [])]
        rows = [(side, *(example.get(name) for name in columns)) for side, example in examples]
        yield table("Examples", ["", *columns], rows)
    elif examples:
        yield table("Examples", ["", "orders"], [(side, in_words(example)) for side, example in examples])


def _feature(feature: Feature) -> tuple[str, str, str]:
    return feature.name, feature.unit, feature.meaning


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case words joined by dashes, such as lapsed-vip.")],
    is_select: Annotated[
        bool, typer.Option("--select", help="One that answers with a select, where the features cannot say it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a file in segments/ to fill in. Its examples fail until that is done."""
    path = segment_scaffold.write(name, is_select=is_select)
    text = f"Written: {path}\nFill it in (docs/add-a-segment.md), then: campaigns segments check {name}"
    answer({"name": name, "file": str(path)}, as_json=as_json, text=text)


@app.command("check")
def check(
    name: Annotated[str | None, typer.Argument(metavar="[SEGMENT]", help="Its name; without one all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put the examples to the test: who should be in is in. Exit status 1: one is not, or a file cannot be used."""
    from data.samples import example_shop
    from segments import examples, registry

    failing = registry.failing()  # their complaints are told below
    faults = [] if name else [fault for fault in registry.faults() if fault.name not in failing]
    everyone = registry.load() | failing
    asked = [registry.written(name)] if name else [everyone[each] for each in sorted(everyone)]
    told = [(one, examples.judged(one, example_shop.opened)) for one in asked]
    wrong = [sentence for _, judged in told for sentence in judged.complaints]
    payload = {
        "segments": [
            {"name": one.name, "examples": list(map(str, judged.verdicts)), "complaints": list(judged.complaints)}
            for one, judged in told
        ],
        "faults": [fault.sentence for fault in faults],
    }
    lines = [line for one, judged in told for line in _judged(one, judged, in_full=bool(name))]
    answer(payload, as_json=as_json, text="\n".join(lines))
    _tell(faults)
    if wrong or faults:
        raise typer.Exit(_BAD_NEWS)


def _judged(one: "Segment", judged: Any, *, in_full: bool) -> Iterable[str]:
    right = sum(verdict.is_right for verdict in judged.verdicts)
    if in_full:
        yield from (str(verdict) for verdict in judged.verdicts if verdict.is_right)  # the others are complaints
    yield from judged.complaints
    if not judged.complaints:
        yield f"{one.name}: {'its parts have the examples' if one.kind == 'combined' else f'{right} examples are right'}"
