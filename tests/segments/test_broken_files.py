"""One broken file in segments/ takes no other with it, and is told of with file, line and fault."""

import pytest

from segments import registry
from segments.definition import DefinitionError
from tests.segments.given import room

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
        with pytest.raises(DefinitionError, match=r"two\.py:\d+: there is a segment 'sound' already, in .*one\.py:4"):
            registry.get("sound")


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
