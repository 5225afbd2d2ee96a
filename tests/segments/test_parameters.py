import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments import registry
from segments.definition import FrameSegment
from segments.parameters import ArgumentError, Parameter, values
from segments.registry import segment
from tests.segments.given import AS_OF

ONE_SIDE = {"owner": "data-team", "needs": ("orders",), "inside": [{"orders": 9}], "outside": [{"orders": 1}]}
THREE = (
    Parameter("category", str, "books", "which category"),
    Parameter("least", int, 3, "how many orders"),
    Parameter("share", float, 0.5, "which share"),
)


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.load()  # else the library would be read into the empty room
    monkeypatch.setattr(registry, "_room", registry._Room())


def made(function) -> FrameSegment:
    segment("tried", **ONE_SIDE)(function)
    return registry.get("tried")


def at_least(customers, as_of, *, least: int = 3, share: float = 1):
    """Ordered often.

    Whoever ordered more than anybody is in it too.
    least: how many orders at least
    share: of nothing in particular
    """
    return customers.orders >= least * share


def test_keyword_only_arguments_are_the_parameters() -> None:
    tried = made(at_least)
    assert tried.parameters == (
        Parameter("least", int, 3, "how many orders at least"),
        Parameter("share", float, 1.0, "of nothing in particular"),
    )
    assert tried.details.startswith("Whoever ordered more")


def test_arguments_reach_the_function_with_their_types() -> None:
    frame = pd.DataFrame({"orders": [1, 2, 3]})
    tried = made(at_least)
    assert tried.evaluate(frame, AS_OF).tolist() == [False, False, True]
    assert tried.evaluate(frame, AS_OF, {"least": "2"}).tolist() == [False, True, True]
    assert tried.evaluate(frame, AS_OF, {"least": " 2 ", "share": ".5"}).tolist() == [True, True, True]


def test_a_parameter_that_is_badly_declared_is_refused_with_all_its_faults() -> None:
    def listed(customers, as_of, *, some: list = (), bare, least: int = "many", sure: int = True):
        """Ordered often.

        sure: whether
        """
        return customers.orders > 1

    with pytest.raises(registry.DefinitionError) as told:
        made(listed)
    for words in (
        "parameter 'some' that is neither str nor int nor float",
        "no line 'some: …' in its docstring",
        "parameter 'bare' that is neither",
        "parameter 'bare' without a default",
        "parameter 'least' whose default is not a whole number",
        "parameter 'sure' whose default is not a whole number",
    ):
        assert words in str(told.value)


def test_annotations_as_text_are_understood() -> None:
    def later(customers, as_of, *, least: "int" = 3):
        """Ordered often.

        least: how many orders at least
        """
        return customers.orders >= least

    assert made(later).parameters[0].type is int


def test_positional_extras_are_refused() -> None:
    def extra(customers, as_of, least: int = 3):
        """Ordered often."""
        return customers.orders >= least

    with pytest.raises(registry.DefinitionError, match=r"exactly \(customers, as_of\)"):
        made(extra)


def test_defaults_and_the_hash() -> None:
    def first(customers, as_of, *, least: int = 3):
        """Ordered often.

        least: how many
        """
        return customers.orders >= least

    def second(customers, as_of, *, least: int = 4):
        """Ordered often.

        least: how many
        """
        return customers.orders >= least

    def third(customers, as_of, *, least: int = 3):
        """Ordered very often.

        least: other words
        """
        return customers.orders >= least

    hashes = []
    for function in (first, second, third):
        registry._room = registry._Room()
        hashes.append(made(function).definition_hash)
    assert hashes[0] != hashes[1]
    assert hashes[0] == hashes[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"colour": "red"}, "segment 'tried' has no parameter 'colour': it has category, least, share"),
        ({"least": "many"}, r"parameter 'least' of segment 'tried' \(how many orders\) must be a whole number"),
        ({"least": "3.5"}, "must be a whole number"),
        ({"least": ""}, "must be a whole number"),
        ({"least": "٣"}, "must be a whole number"),
        ({"least": "9" * 16}, "must be a whole number"),
        ({"least": True}, "must be a whole number"),
        ({"share": "nan"}, "must be a number"),
        ({"share": "1e400"}, "must be a number"),
        ({"share": float("inf")}, "must be a number"),
        ({"category": "two\nlines"}, "must be a text of one line"),
        ({"category": "x" * 201}, "must be a text of one line"),
        ({"category": "\x00"}, "must be a text of one line"),
        ({"category": 7}, "must be a text of one line"),
    ],
)
def test_a_wrong_argument_is_refused_with_a_sentence_that_does_not_repeat_it(arguments: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as told:
        values("tried", THREE, arguments)
    assert "many" not in str(told.value).replace("how many", "")


@given(st.dictionaries(st.sampled_from(["category", "least", "share", "x"]), st.text(max_size=300)))
def test_whatever_is_asked_the_values_have_their_types_or_a_sentence_is_told(arguments: dict[str, str]) -> None:
    try:
        found = values("tried", THREE, arguments)
    except ArgumentError:
        return
    assert [type(found[one.name]) for one in THREE] == [str, int, float]


@pytest.mark.parametrize(
    ("asked", "given", "found"),
    [
        ("buyers-on-weekday", {"weekday": "8"}, "must be a whole number from 1 to 7"),
        ("evening-buyers", {"hour": "25"}, "must be a whole number from 0 to 23"),
        ("holiday-buyers", {"first_month": "13"}, "must be a whole number from 1 to 12"),
        ("high-refunders", {"share": "50"}, "must be a number from 0 to 1, such as 0.5 or 50%"),
        ("high-refunders", {"share": "29%"}, 0.29),
        ("high-refunders", {"share": "101%"}, "must be a number from 0 to 1"),
        ("dormant", {"days": "-5"}, "must be a whole number from 0 to 36,500"),
        ("dormant", {"days": "50%"}, "must be a whole number"),
        ("spent-at-least", {"amount": "-1"}, "must be a number from 0 to 1,000,000,000"),
        ("from-country", {"country": "Germany"}, "must be two letters of ISO 3166"),
        ("from-country", {"country": " de "}, "DE"),
    ],
)
def test_the_library_refuses_nonsense(
    asked: str, given: dict[str, str], found: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    one = registry.get(asked)
    if isinstance(found, str) and " " in found:
        with pytest.raises(ArgumentError, match=found):
            one.values(given)
    else:
        assert found in one.values(given).values()


def test_a_default_out_of_its_own_bounds_is_refused() -> None:
    def late(customers, as_of, *, hour: int = 24):
        """Ordered often.

        hour: from which hour on
        """
        return customers.orders >= hour

    with pytest.raises(registry.DefinitionError, match="whose default is not a whole number from 0 to 23"):
        made(late)
