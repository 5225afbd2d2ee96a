"""The checks that refuse a wrong definition where it is written: file, line, and what to change."""

import ast
import builtins
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any

from domain.example_orders import ExampleLine, ExampleOrder
from domain.features import BY_NAME
from segments import parameters
from segments.definition import Example, FrameSegment, Segment, SelectSegment, hash_of, place_of
from segments.faults import DefinitionError, nearest
from segments.parameters import ArgumentError, Parameter

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RESERVED = frozenset({"and", "or", "not"})
_LONGEST_NAME = 60
_ORDER = {one.name: one.default for one in dataclasses.fields(ExampleOrder)}
_LINE = {one.name: one.default for one in dataclasses.fields(ExampleLine)}
_AMOUNTS = frozenset({"days_ago", "total", "refunded", "discount", "quantity"})
# With these an argument would become code, or the clock would decide who is in.
_CODE = frozenset({"eval", "exec", "compile", "open", "__import__", "getattr", "setattr", "globals", "locals", "vars"})
_CODE_OF_FRAMES = frozenset({"eval", "query"})
_CLOCK = frozenset({"now", "utcnow", "today"})
_SQL_TEXT = frozenset({"text", "literal_column"})
# Further ways to write SQL as text: nothing that the frame or a select needs is said by them only.
_SQL_PARTS = frozenset(
    {"op", "bool_op", "custom_op", "prefix_with", "suffix_with", "with_hint", "with_statement_hint", "execute"}
)


def define(
    function: FunctionType,
    *,
    name: str,
    owner: str,
    needs: Iterable[str],
    inside: Iterable[Example],
    outside: Iterable[Example],
) -> Segment:
    """Check a definition and make the segment of it. Raises DefinitionError with all faults at once."""
    columns = (needs,) if isinstance(needs, str) else tuple(needs)
    examples = (tuple(inside), tuple(outside))
    found, wrong = parameters.of(function)
    arguments = [*inspect.signature(function).parameters]
    is_select = arguments[:1] == ["shop"]
    complaints = [
        *complaints_of_words(name, owner),
        *_complaints_of_function(function, arguments, found, wrong),
        *(_complaints_of_select(columns) if is_select else _complaints_of_needs(columns)),
        *(_complaints_of_examples(name, found, columns, examples, _of_orders if is_select else _of_features)),
        *_complaints_of_code(function),
    ]
    file, line = place_of(function.__code__.co_filename), function.__code__.co_firstlineno
    if complaints:
        raise DefinitionError(f"{file}:{line}: segment {name!r} {'; it '.join(complaints)}")
    description, _, details = (inspect.getdoc(function) or "").strip().partition("\n")
    meanings = tuple(f"{one.name}:" for one in found)
    details = "\n".join(line for line in details.splitlines() if not line.startswith(meanings))
    values: dict[str, Any] = {
        "name": name,
        "owner": owner,
        "description": description,
        "details": details.strip(),
        "parameters": found,
        "inside": examples[0],
        "outside": examples[1],
        "file": file,
        "line": line,
        "definition_hash": _hash(name, columns, found, function),
        "function": function,
    }
    if is_select:
        return SelectSegment(**values)
    return FrameSegment(needs=columns, source=ast.unparse(_syntax(function)), **values)


def complaints_of_words(name: str, owner: str) -> list[str]:
    """What is wrong with the name and the owner."""
    complaints = []
    if not _NAME.fullmatch(name) or name in _RESERVED or len(name) > _LONGEST_NAME:
        complaints.append(
            f"has a name that is not lower-case words joined by dashes, such as 'lapsed-vip', of {_LONGEST_NAME} "
            "letters at most, and neither and, or, nor not"
        )
    if not owner.strip():
        complaints.append("names no owner: who is asked when it looks wrong?")
    return complaints


def _complaints_of_function(
    function: FunctionType, arguments: list[str], found: tuple[Parameter, ...], wrong: list[str]
) -> list[str]:
    complaints = [*wrong]
    if not (inspect.getdoc(function) or "").strip():
        complaints.append("has no docstring: its first line is what a marketer chooses by")
    kinds = [one.kind for one in inspect.signature(function).parameters.values()]
    positional = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    first = arguments[:positional]
    sound = first in (["customers", "as_of"], ["shop", "as_of"])
    if not sound or kinds.count(inspect.Parameter.KEYWORD_ONLY) != len(kinds) - positional:
        complaints.append(
            "must take exactly (customers, as_of), or (shop, as_of) for a select, and its parameters behind a *"
        )
    reserved = {"customers", "shop", "as_of"} & {one.name for one in found}
    return [*complaints, *(f"has a parameter {name!r}: take another name" for name in sorted(reserved))]


def _complaints_of_needs(needs: tuple[str, ...]) -> list[str]:
    complaints = [
        f"needs column {name!r}, which is no feature{nearest(name, BY_NAME)}" for name in needs if name not in BY_NAME
    ]
    if not needs:
        complaints.append("needs no column: say which it reads, such as needs=('orders',)")
    return complaints


def _complaints_of_select(needs: tuple[str, ...]) -> list[str]:
    return ["has needs, but it is a select: those are read from shop.customers"] if needs else []


def _complaints_of_examples(
    name: str,
    found: tuple[Parameter, ...],
    needs: tuple[str, ...],
    examples: tuple[tuple[Example, ...], tuple[Example, ...]],
    check: Callable[[Any, tuple[str, ...]], list[str]],
) -> list[str]:
    complaints = []
    for side, rows in zip(("inside", "outside"), examples, strict=True):
        if not rows:
            complaints.append(f"has no example that is {side}: show at least one customer")
        for number, row in enumerate(rows, 1):
            where = f"in example {number} of {side}"
            complaints += [f"{told} {where}" for told in check(row, needs)]
            arguments = row.get("with", {}) if isinstance(row, Mapping) else {}
            try:
                parameters.values(name, found, arguments)
            except (ArgumentError, TypeError, AttributeError) as error:
                complaints.append(f"has wrong arguments {where}: {error}")
    return complaints


def _of_features(row: Any, needs: tuple[str, ...]) -> list[str]:
    if not isinstance(row, Mapping):
        return [f"has a {type(row).__name__} where a customer such as {{'orders': 3}} is expected"]
    lacking = [f"has no {name!r}" for name in needs if name not in row]
    return lacking + [f"names {name!r}, which it does not need," for name in row if name not in {*needs, "with"}]


def _of_orders(row: Any, _needs: tuple[str, ...]) -> list[str]:
    if isinstance(row, Mapping) and set(row) <= {"orders", "with"}:
        row = row.get("orders", [])
    if not isinstance(row, (list, tuple)) or not all(isinstance(order, Mapping) for order in row):
        return ["expects a customer as a list of orders, such as [{'days_ago': 10, 'category': 'books'}],"]
    return [told for order in row for told in _of_order(order, _ORDER)]


def _of_order(order: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Of a line too: `known` has the defaults by name."""
    complaints = [f"has an unknown {key!r}{nearest(key, known)}" for key in order if key not in known]
    for key, value in order.items():
        kind = (int, float) if key in _AMOUNTS else (str, type(None))
        if key == "lines":
            complaints += [told for line in value for told in _of_order(line, _LINE)]
        elif key in known and (not isinstance(value, kind) or isinstance(value, bool)):
            complaints.append(f"has {key!r}, which is not {'a number' if key in _AMOUNTS else 'a text'},")
    return complaints


def _complaints_of_code(function: FunctionType) -> list[str]:
    """Nothing from outside the function but modules, or the definition's hash would miss a change."""
    nodes = list(ast.walk(ast.Module(_syntax(function).body, [])))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    own = {node.arg for node in ast.walk(_syntax(function)) if isinstance(node, ast.arg)}
    own |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {(node.asname or node.name).partition(".")[0] for node in nodes if isinstance(node, ast.alias)}
    modules = {name for name, value in function.__globals__.items() if isinstance(value, ModuleType)}
    foreign = {node.id for node in names} - own - modules - set(dir(builtins))
    complaints = [f"uses {name!r} from outside: write it inside the function" for name in sorted(foreign)]
    complaints += _complaints_of_names(nodes)
    told = {told for node in nodes if isinstance(node, ast.Call) for told in _complaints_of_call(node)}
    return complaints + sorted(told)


def _complaints_of_names(nodes: list[ast.AST]) -> list[str]:
    """A function that takes SQL may be called where it stands, and not be carried elsewhere under another name."""
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    named = [node for node in nodes if isinstance(node, ast.Attribute)]
    carried = {node.attr for node in named if node.attr in _SQL_TEXT and id(node) not in called}
    parts = {node.attr for node in named if node.attr in _SQL_PARTS}
    return [f"uses {name} without calling it: SQL is written as a plain text" for name in sorted(carried)] + [
        f"uses {name}: say it by SQLAlchemy's own operators" for name in sorted(parts)
    ]


def _complaints_of_call(call: ast.Call) -> list[str]:
    is_method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = {word.arg: word.value for word in call.keywords}
    is_literal = all(isinstance(one, ast.Constant) for one in (*call.args, *words.values()))
    complaints = []
    if name in (_CODE_OF_FRAMES if is_method else _CODE):
        complaints.append(f"calls {name}(): an argument could become code there")
    if name in _CLOCK:
        complaints.append(f"asks the clock by {name}(): use as_of")
    if name in _SQL_TEXT and not is_literal:
        complaints.append(f"puts SQL together in {name}(): write it as a plain text")
    return complaints


def _syntax(function: FunctionType) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


def _hash(name: str, needs: tuple[str, ...], found: tuple[Parameter, ...], function: FunctionType) -> str:
    """Of what decides who is in: name, needs, parameters and code. Comments, layout, words and examples do not."""
    body = ast.unparse(ast.Module(_syntax(function).body[1:], []))  # without the docstring
    told = (f"{one.name}: {one.type.__name__} = {one.default!r}" for one in found)
    return hash_of([name, *needs, *told, body, *_used_of_the_house(function)])


def _used_of_the_house(function: FunctionType) -> list[str]:
    """The source of our own modules that it uses: they decide too."""
    named = {node.id for node in ast.walk(_syntax(function)) if isinstance(node, ast.Name)}
    modules = [function.__globals__.get(name) for name in sorted(named)]
    room = __name__.partition(".")[0]
    return [
        ast.unparse(ast.parse(inspect.getsource(one)))
        for one in modules
        if isinstance(one, ModuleType) and one.__name__.startswith(f"{room}.")
    ]
