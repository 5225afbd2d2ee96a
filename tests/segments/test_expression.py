import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments import expression, registry
from segments.definition import DefinitionError
from segments.expression import Both, Either, ExpressionError, Named, Not, parse
from segments.parameters import ArgumentError
from tests.segments.given import any_customers, room


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("vip", Named("vip")),
        ("not vip", Not(Named("vip"))),
        ("a or b and not c", Either((Named("a"), Both((Named("b"), Not(Named("c"))))))),
        ("(a or b) and c", Both((Either((Named("a"), Named("b"))), Named("c")))),
        ("a and b and c", Both((Named("a"), Named("b"), Named("c")))),
        ("not not a", Not(Not(Named("a")))),
        ("active-90-days", Named("active-90-days")),
        ("android and north", Both((Named("android"), Named("north")))),
        ("f()", Named("f")),
        ('f(x=-3, y=\'it"s\', z="a, b) or c")', Named("f", {"x": "-3", "y": 'it"s', "z": "a, b) or c"})),
        (" f ( x = 2.5 ) ", Named("f", {"x": "2.5"})),
    ],
)
def test_what_an_expression_means(text: str, meaning: expression.Expression) -> None:
    assert parse(text) == meaning
    assert parse(str(meaning)) == meaning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks the name of a segment at its end"),
        ("vip and", "lacks the name of a segment at its end"),
        ("vip lapsed", "lacks 'and', 'or', or the end at letter 5"),
        ("(vip", r"lacks '\)' at its end"),
        ("vip)", "at letter 4"),
        ("or vip", "lacks the name of a segment at letter 1"),
        ("f(x)", "lacks '=' at letter 4"),
        ("f(x=y)", "lacks a number, or a text in quotes at letter 5"),
        ("f(x=1 y=2)", "lacks ',' at letter 7"),
        ("f(x=1, x=2)", "says 'x' of 'f' twice"),
        ("f(x=1e9)", "sign at letter 5"),
        ("vip; DROP TABLE orders", "sign at letter 4"),
        ("vip.__class__", "sign at letter 4"),
        ("f(x='unclosed)", "sign at letter 5"),
        ("(" * 41 + "vip" + ")" * 41, "nested more than 40 deep"),
        ("not " * 400 + "vip", "nested more than 40 deep"),
        ("a" * 2001, "2000 are allowed"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        parse(text)


@given(st.text(alphabet="ab-or and not()=\"',1.;\\\n%", max_size=60))
@settings(max_examples=300)
def test_any_text_is_an_expression_or_a_sentence(text: str) -> None:
    try:
        found = parse(text)
    except ExpressionError:
        return
    assert parse(str(found)) == found


NAMES = st.sampled_from(["repeat-customers", "one-time-buyers", "big-spenders"])
TREES = st.recursive(
    NAMES.map(Named),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(Both),
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(Either),
    ),
    max_leaves=6,
)
CUSTOMERS = any_customers(7, 60)


@given(TREES)
@settings(deadline=None, max_examples=50)
def test_a_combined_segment_has_whoever_python_says(tree: expression.Expression) -> None:
    """Its words become Python's own and, or, not, a customer at a time."""
    names = ["repeat-customers", "one-time-buyers", "big-spenders"]
    each = {name: registry.get(name).members(CUSTOMERS).tolist() for name in names}
    code = str(tree)
    for name in names:
        code = code.replace(name, f"_[{name!r}][n]")
    expected = [eval(code, {"_": each, "n": n}) for n in range(60)]
    assert registry.parse(str(tree)).members(CUSTOMERS).tolist() == expected


def test_an_expression_is_a_segment_with_the_needs_and_hashes_of_its_parts() -> None:
    found = registry.parse("vip and not lapsed-vip")
    parts = [registry.get("vip"), registry.get("lapsed-vip")]
    assert set(found.needs) == {need for part in parts for need in part.needs}
    assert (found.kind, found.name) == ("combined", "vip and not lapsed-vip")
    assert found.definition_hash != registry.parse("vip and lapsed-vip").definition_hash
    assert found.definition_hash == registry.parse(" vip  and (not lapsed-vip)").definition_hash
    assert registry.parse("vip") is registry.get("vip")


def test_wrong_names_and_arguments_in_an_expression_are_told() -> None:
    with pytest.raises(registry.UnknownSegment, match="no segment 'lapsd'"):
        registry.parse("vip and lapsd")
    with pytest.raises(ArgumentError, match="'vip' has no parameter 'x'"):
        registry.parse("not vip(x=1)")


PARTS = """
from segments.registry import combined, segment

@segment("many", owner="x", needs=("orders",), inside=[{"orders": 3}], outside=[{"orders": 1}])
def many(customers, as_of, *, least: int = 2):
    '''Ordered often.

    least: how many
    '''
    return customers.orders >= least
"""


def test_combined_segments_may_stand_before_their_parts_and_use_each_other(tmp_path, monkeypatch) -> None:
    early = """
    from segments.registry import combined
    combined("few", owner="x", rule="not most", description="Few.")
    combined("most", owner="x", rule="many(least=3)", description="Most.")
    """
    with room(tmp_path, monkeypatch, a_early=early, b_parts=PARTS):
        assert list(registry.load()) == ["few", "many", "most"]
        assert registry.faults() == ()
        few = registry.get("few")
        assert (few.file, few.line) == (str(tmp_path / "a_early.py"), 3)
        people = any_customers(1, 30)
        assert few.members(people).tolist() == (people.customers.orders < 3).tolist()


def test_the_hash_of_a_combined_segment_changes_with_its_parts_and_its_rule(tmp_path, monkeypatch) -> None:
    rule = '\ncombined("few", owner="x", rule="not many(least=3)", description="Few.")\n'
    hashes = []
    for number, (old, new) in enumerate([("", ""), (">= least", "> least"), ("least=3", "least=4"), ("Few.", "F.")]):
        (folder := tmp_path / str(number)).mkdir()
        with room(folder, monkeypatch, parts=(PARTS + rule).replace(old, new) if old else PARTS + rule):
            hashes.append(registry.get("few").definition_hash)
    assert len(set(hashes)) == 3
    assert hashes[0] == hashes[3]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("nobody-knows", "there is no segment 'nobody-knows'"),
        ("many(most=3)", "'many' has no parameter 'most': it has least"),
        ("many(least='x')", "'least' of segment 'many' .* must be a whole number"),
        ("many and tried", "it is made of itself: tried → tried"),
        ("round", "it is made of itself: tried → round → tried"),
        ("many or", "has a rule that cannot be read: the expression lacks the name of a segment at its end"),
    ],
)
def test_a_wrong_rule_names_file_line_and_fault_and_takes_no_other_with_it(
    rule: str, words: str, tmp_path, monkeypatch
) -> None:
    source = f'{PARTS}\ncombined("tried", owner="x", rule={rule!r}, description="Tried.")\n'
    round_ = (
        'from segments.registry import combined\ncombined("round", owner="x", rule="tried", description="Round.")\n'
    )
    with room(tmp_path, monkeypatch, parts=source, turning=round_):
        with pytest.raises(DefinitionError, match=rf"parts.py:12: segment 'tried'.*{words}"):
            registry.get("tried")
        with pytest.raises(DefinitionError, match=r"turning\.py:2: segment 'round'.*parts\.py:12"):
            registry.get("round")
        assert list(registry.load()) == ["many"]
