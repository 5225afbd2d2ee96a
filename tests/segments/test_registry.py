import textwrap
from datetime import UTC, datetime
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import pandas as pd
import pytest

from segments import registry
from segments.definition import DefinitionError, EvaluationError, FrameSegment
from segments.registry import segment

AS_OF = datetime(2026, 6, 15, tzinfo=UTC)
GOOD = {"owner": "data-team", "needs": ("orders",), "inside": [{"orders": 2}], "outside": [{"orders": 1}]}


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.load()  # else the library would be read into the empty room
    monkeypatch.setattr(registry, "_room", registry._Room())


def several_orders(customers, as_of):
    """Ordered more than once."""
    return customers.orders > 1


def made(name: str = "tried", function=several_orders, **values) -> FrameSegment:
    segment(**({"name": name} | GOOD | values))(function)
    return registry.written(values.get("name", name))


def test_a_definition_is_kept_with_what_a_marketer_reads() -> None:
    tried = made()
    assert (tried.name, tried.owner, tried.needs) == ("tried", "data-team", ("orders",))
    assert tried.description == "Ordered more than once."
    assert tried.file == "tests/segments/test_registry.py"


def test_the_decorated_function_stays_a_function() -> None:
    frame = pd.DataFrame({"orders": [1, 2]})
    assert segment("tried", **GOOD)(several_orders)(frame, AS_OF).tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"needs": ("oders",), "inside": [{"oders": 2}], "outside": [{"oders": 1}]},
            "column 'oders'.*did you mean 'orders'",
        ),
        ({"needs": ("xyzzy",)}, "column 'xyzzy', which is no feature; there are orders, orders_7d"),
        ({"needs": "oders"}, "column 'oders'"),
        ({"needs": ()}, "needs no column"),
        ({"inside": []}, "no example that is inside"),
        ({"outside": []}, "no example that is outside"),
        ({"needs": ("orders", "country")}, "has no 'country' in example 1 of inside"),
        (
            {"outside": [{"orders": 1}, {"orders": 1, "country": "DE"}]},
            "names 'country', which it does not need, in example 2 of outside",
        ),
        ({"name": "Two Words"}, "lower-case words joined by dashes"),
        ({"owner": " "}, "names no owner"),
    ],
)
def test_a_wrong_definition_names_file_line_and_fault(values: dict, words: str) -> None:
    line = several_orders.__code__.co_firstlineno
    with pytest.raises(DefinitionError, match=rf"^tests/segments/test_registry\.py:{line}: segment .*{words}"):
        made(**values)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(DefinitionError, match=r"no owner.*no example that is inside.*no example that is outside"):
        made(owner="", inside=[], outside=[])


def test_a_function_without_docstring_is_refused() -> None:
    def silent(customers, as_of):
        return customers.orders > 1

    with pytest.raises(DefinitionError, match="no docstring"):
        made(function=silent)


def test_a_function_of_other_arguments_is_refused() -> None:
    def other(customers):
        """Ordered more than once."""
        return customers.orders > 1

    with pytest.raises(DefinitionError, match=r"exactly \(customers, as_of\)"):
        made(function=other)


THRESHOLD = 2


def test_a_threshold_outside_the_function_is_refused_because_the_hash_would_miss_it() -> None:
    def many(customers, as_of):
        """Ordered often."""
        return customers.orders > THRESHOLD

    with pytest.raises(DefinitionError, match="uses 'THRESHOLD' from outside"):
        made(function=many)


def test_modules_builtins_and_own_names_may_be_used() -> None:
    def fine(customers, as_of):
        """Ordered often."""
        least = max(n for n in (1, 2))
        return customers.orders.map(lambda count: count > least) & pd.notna(customers.orders)

    assert made(function=fine).evaluate(pd.DataFrame({"orders": [2, 3]}), AS_OF).tolist() == [False, True]


def test_a_second_segment_of_a_name_is_refused_with_the_place_of_the_first() -> None:
    made()
    here = r"tests/segments/test_registry\.py:\d+"
    with pytest.raises(
        DefinitionError, match=rf"two segments are called 'tried': {here} and {here}; rename one of them"
    ):
        made()


def test_an_unknown_name_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(registry.UnknownSegment, match=r"no segment 'lapsed-vips': did you mean lapsed-vip"):
        registry.get("lapsed-vips")
    with pytest.raises(registry.UnknownSegment, match="'xyzzy'; `campaigns segments list` has all"):
        registry.get("xyzzy")
    with pytest.raises(registry.UnknownSegment, match="no segment 'VIP': did you mean vip"):
        registry.parse("VIP")
    assert registry.get("lapsed-vip").needs == ("net_revenue", "days_since_last_order")


def test_loading_twice_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert registry.load() == registry.load()
    assert list(registry.load()) == sorted(registry.load())


# --- evaluation ------------------------------------------------------------------------------------------------------


def test_a_segment_sees_exactly_what_it_needs() -> None:
    def curious(customers, as_of):
        """Lives in Germany."""
        return customers.country == "DE"

    frame = pd.DataFrame({"party_id": [1], "orders": [2], "country": ["DE"]})
    with pytest.raises(EvaluationError, match=r"'tried' \(tests/.*country.*may read only what it needs: orders"):
        made(function=curious).evaluate(frame, AS_OF)


def test_the_frame_must_hold_what_the_segment_needs() -> None:
    with pytest.raises(EvaluationError, match="without orders"):
        made().evaluate(pd.DataFrame({"country": ["DE"]}), AS_OF)


def test_the_index_of_the_frame_is_kept() -> None:
    frame = pd.DataFrame({"orders": [1, 2, 3]}, index=pd.Index([70, 80, 90], name="party_id"))
    answer = made().evaluate(frame, AS_OF)
    assert answer[answer].index.tolist() == [80, 90]


def test_an_answer_that_is_no_boolean_a_customer_is_refused() -> None:
    def number(customers, as_of):
        """Ordered."""
        return customers.orders

    def array(customers, as_of):
        """Ordered."""
        return (customers.orders > 1).to_numpy()

    def undecided(customers, as_of):
        """Ordered."""
        return (customers.orders > 1).astype("boolean").where(customers.orders > 2)

    def shorter(customers, as_of):
        """Ordered."""
        return (customers.orders > 1)[customers.orders > 1]

    frame = pd.DataFrame({"orders": [1, 2, 3]})
    cases = [
        (number, "a Series of int64"),
        (array, "ndarray"),
        (undecided, "2 customers undecided"),
        (shorter, "other rows"),
    ]
    for function, words in cases:
        with pytest.raises(EvaluationError, match=rf"'{function.__name__}' \(tests/segments.*{words}"):
            made(function.__name__, function).evaluate(frame, AS_OF)


# --- the definition's hash -------------------------------------------------------------------------------------------

SOURCE = '''
from segments.registry import segment


@segment("tried", owner="data-team", needs=("orders",), inside=[{"orders": 2}], outside=[{"orders": 1}])
def tried(customers, as_of):
    """Ordered more than once."""
    return customers.orders > 1
'''


def hash_of(source: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(registry, "_room", registry._Room())
    path = tmp_path / f"theme_{abs(hash(source))}.py"
    path.write_text(textwrap.dedent(source))
    loader = SourceFileLoader(path.stem, str(path))
    loader.exec_module(module_from_spec(spec_from_loader(path.stem, loader)))
    (only,) = registry._room.sound.values()
    return only.definition_hash


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("customers.orders > 1", "customers.orders  >  1  # a comment", True),
        ("Ordered more than once.", "Came back.", True),
        ("data-team", "analytics", True),
        ('[{"orders": 2}]', '[{"orders": 9}]', True),
        ("orders > 1", "orders > 2", False),
        ('"tried"', '"renamed"', False),
        (
            'needs=("orders",), inside=[{"orders": 2}], outside=[{"orders": 1}]',
            'needs=("orders", "country"), inside=[{"orders": 2, "country": "DE"}], outside=[{"orders": 1, "country": "DE"}]',
            False,
        ),
    ],
)
def test_the_hash_changes_with_what_decides_and_with_nothing_else(
    old: str, new: str, same: bool, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in SOURCE
    changed = hash_of(SOURCE.replace(old, new), tmp_path, monkeypatch)
    assert (changed == hash_of(SOURCE, tmp_path, monkeypatch)) is same
