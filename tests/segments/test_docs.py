"""The examples of docs/add-a-segment.md work as they stand there."""

import re
from pathlib import Path

from data.samples import example_shop
from segments import examples, registry
from tests.segments.given import room

PAGE = (Path(__file__).parent.parent.parent / "docs" / "add-a-segment.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_its_segments_are_what_the_page_says(tmp_path, monkeypatch) -> None:
    with room(tmp_path, monkeypatch, page="\n".join(CODE)):
        assert registry.faults() == ()
        kinds = {name: one.kind for name, one in registry.load().items()}
        assert kinds == {
            "bought-several-kinds": "select",
            "fans-of": "frame",
            "happy-readers": "combined",
            "happy-regulars": "frame",
        }
        for segment in registry.load().values():
            assert examples.judged(segment, example_shop.opened).complaints == ()


def test_its_first_segment_is_of_ten_lines_at_most() -> None:
    body = CODE[0].partition("@segment")[2]
    assert len(body.strip().splitlines()) <= 10


def test_a_broken_one_is_told_of_in_a_sentence(tmp_path, monkeypatch) -> None:
    with room(tmp_path, monkeypatch, page="\n".join(CODE).replace("refund_rate", "refundrate")):
        sentences = [fault.sentence for fault in registry.faults()]
        assert any("segment 'happy-regulars' needs column 'refundrate'" in one for one in sentences)
        assert all(one.startswith(str(tmp_path / "page.py:")) for one in sentences)
