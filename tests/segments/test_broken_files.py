"""One broken file in segments/ takes no other with it, and is told of with file, line and fault."""

import pandas as pd
import pytest

from segments import registry
from segments.definition import DefinitionError, EvaluationError, FrameSegment
from tests.segments.given import AS_OF, room

SOUND = """
from segments.registry import segment

@segment("sound", owner="x", needs=("orders",), inside=[{"orders": 3}], outside=[{"orders": 1}])
def sound(customers, as_of):
    '''Ordered often.'''
    return customers.orders > 2
"""
OTHER = SOUND.replace('"sound"', '"other"')


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def f(:\n", r"broken\.py:1: SyntaxError: invalid syntax"),
        (OTHER + "import no_such_module\n", r"broken\.py:8: ModuleNotFoundError: No module named 'no_such_module'"),
        (OTHER + "\n\n1 / 0\n", r"broken\.py:10: ZeroDivisionError"),
        (OTHER + "raise SystemExit(3)\n", r"broken\.py:8: SystemExit"),
        (OTHER.replace(", needs", " needs"), r"broken\.py:4: SyntaxError"),
        (OTHER.replace("needs=", "need="), r"broken\.py:4: TypeError: .*need"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_of_with_its_line(source: str, sentence: str, tmp_path, monkeypatch) -> None:
    with room(tmp_path, monkeypatch, a_first=SOUND, broken=source, z_last=SOUND.replace('"sound"', '"last"')):
        assert list(registry.load()) == ["last", "sound"]
        (fault,) = registry.faults()
        assert fault.sentence.startswith(str(tmp_path))
        with pytest.raises(DefinitionError, match=sentence) if "other" in source else pytest.raises(LookupError):
            registry.get("other")
        assert registry.get("sound").name == "sound"
        assert registry.faults() == (fault,), "it is told once, however often one asks"


def test_a_wrong_definition_leaves_the_others_of_its_own_file(tmp_path, monkeypatch) -> None:
    wrong = OTHER.replace("orders", "oders").replace("from segments.registry import segment", "")
    with room(tmp_path, monkeypatch, theme=SOUND + wrong):
        assert list(registry.load()) == ["sound"]
        with pytest.raises(DefinitionError, match=r"theme\.py:\d+: segment 'other'.*'oders'.*did you mean 'orders'"):
            registry.get("other")


def test_of_two_segments_of_one_name_neither_is_used(tmp_path, monkeypatch) -> None:
    with room(tmp_path, monkeypatch, one=SOUND, two=OTHER + SOUND):
        assert list(registry.load()) == ["other"]
        with pytest.raises(DefinitionError, match=r"two segments are called 'sound': .*one\.py:4 and .*two\.py:\d+; "):
            registry.get("sound")


COMBINED = 'from segments.registry import combined\ncombined("made", owner="x", rule="sound", description="Made.")\n'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "orders > 2",
            "orders > 5",
            r"theme\.py:4: segment 'sound': example 1 of inside should be in, but is out: orders 3",
        ),
        ("orders > 2", "oders > 2", r"segment 'sound' \(.*theme\.py:4\) failed at theme\.py:7.*did you mean 'orders'"),
        ("Ordered often", "FILL IN", r"the first line of its docstring is still to be filled in"),
    ],
)
def test_a_segment_that_its_own_examples_refute_is_not_used(
    old: str, new: str, words: str, tmp_path, monkeypatch
) -> None:
    with room(tmp_path, monkeypatch, theme=SOUND.replace(old, new) + OTHER, made=COMBINED):
        assert list(registry.load()) == ["other"]
        for asked in ("sound", "made", "not sound", "other and not sound"):
            with pytest.raises(DefinitionError, match=words):
                registry.parse(asked)
        assert {fault.name for fault in registry.faults()} == {"sound", "made"}
        assert registry.written("sound") is registry.failing()["sound"]


def test_the_examples_are_judged_once(tmp_path, monkeypatch) -> None:
    counted = SOUND.replace("return", "pd.counted += 1\n    return")
    monkeypatch.setattr(pd, "counted", 0, raising=False)
    with room(tmp_path, monkeypatch, theme="import pandas as pd\n" + counted):
        for _ in range(3):
            registry.load()
            registry.get("sound")
        assert pd.counted == 1


def test_a_segment_whose_part_is_broken_says_so(tmp_path, monkeypatch) -> None:
    made = 'from segments.registry import combined\ncombined("made", owner="x", rule="other", description="Made.")\n'
    with room(tmp_path, monkeypatch, broken=OTHER + "1 / 0\n", made=made):
        with pytest.raises(DefinitionError, match=r"made\.py:2: segment 'made': .*broken\.py:8: ZeroDivisionError"):
            registry.get("made")
        assert registry.load() == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("customers.query(f'orders > {least}').orders > 0", r"calls query\(\): an argument could become code"),
        ("eval(f'customers.orders > {least}')", r"calls eval\(\)"),
        ("getattr(customers, least) > 0", r"calls getattr\(\)"),
        ("customers.orders > pd.Timestamp.now().day", r"asks the clock by now\(\): use as_of"),
    ],
)
def test_code_that_arguments_could_change_is_refused(code: str, words: str, tmp_path, monkeypatch) -> None:
    source = "import pandas as pd\n" + SOUND.replace("as_of)", "as_of, *, least: str = '2')")
    source = source.replace("often.", "often.\n\n    least: how many\n    ").replace("customers.orders > 2", code)
    with (
        room(tmp_path, monkeypatch, theme=source),
        pytest.raises(DefinitionError, match=rf"segment 'sound' {words}"),
    ):
        registry.get("sound")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('owner="x", ', "", "names no owner"),
        ('inside=[{"orders": 3}], ', "", "has no example that is inside"),
        (', outside=[{"orders": 1}]', "", "has no example that is outside"),
    ],
)
def test_what_a_definition_forgot_is_its_own_fault_alone(old: str, new: str, words: str, tmp_path, monkeypatch) -> None:
    wrong = OTHER.replace(old, new).replace("from segments.registry import segment", "")
    made = 'from segments.registry import combined\ncombined("made")\n'
    with room(tmp_path, monkeypatch, made=made, theme=SOUND + wrong):
        assert list(registry.load()) == ["sound"]
        with pytest.raises(DefinitionError, match=rf"theme\.py:\d+: segment 'other' .*{words}"):
            registry.get("other")
        with pytest.raises(DefinitionError, match=r"made\.py:2: segment 'made' names no owner.*no description.*rule"):
            registry.get("made")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("customers.orders > 2 and customers.net_revenue > 1", "combine conditions with & | ~, not with and, or, not"),
        ("not customers.orders > 2", "combine conditions with & | ~, not with and, or, not"),
        ("1 < customers.orders < 4", "write a < b < c as two conditions"),
        ("customers.net_revenue > 1 & customers.orders > 2", "put each side of & and | in brackets"),
        ("customers.orders > 2 & customers.net_revenue > 1", "put each side of & and | in brackets"),
        ("customers.orders > 2 | customers.country == 'DE'", "put each side of & and | in brackets"),
        ("customers.country == 'DE' & customers.country == 'FR'", "put each side of & and | in brackets"),
        ("customers.net_revenue & (customers.orders > 2)", "put each side of & and | in brackets"),
    ],
)
def test_the_commonest_mistakes_are_told_in_our_words(code: str, words: str, tmp_path, monkeypatch) -> None:
    source = SOUND.replace('("orders",)', '("orders", "net_revenue", "country")').replace("customers.orders > 2", code)
    source = source.replace('{"orders"', '{"net_revenue": 1.5, "country": "DE", "orders"')
    with room(tmp_path, monkeypatch, theme=source):
        tried = (registry.load() | registry.failing())["sound"]
        assert isinstance(tried, FrameSegment)
        with pytest.raises(EvaluationError) as told:
            tried.evaluate(tried.frame([{"orders": 3, "net_revenue": 1.5, "country": "DE"}] * 2), AS_OF)
        assert "failed at theme.py:7: " in str(told.value)
        assert words in str(told.value)
        assert "Series" not in str(told.value)
