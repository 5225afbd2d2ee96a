import os
import re
from pathlib import Path
from typing import get_args

import pytest

from data.channels import mapping_fields, mapping_values
from data.channels.mapping import Mapping, UnusableMapping, load

ROOT = Path(__file__).parents[3]
GOOD = """
format: csv
group_by: [InvoiceNo, Invoice]
order:
  external_id: InvoiceNo
  status: {path: State, words: {open: placed, NO: cancelled, 1: paid}}
  currency: {value: EUR}
  total: sum_of_lines
  placed_at: {path: At, format: '%d.%m.%Y', zone: Europe/Berlin}
customer:
  country: {path: Land, words: {Norway: NO, Norge: no}}
line:
  sku: {path: Sku, type: whole}
  quantity: {path: Pieces, negate: true}
  unit_price: {path: Each, type: money}
  total: quantity_times_unit_price
events:
  - {step: shipped, at: Sent}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(GOOD)
    return path


def test_all_scalars_are_text_and_short_forms_are_paths(path: Path) -> None:
    mapping = load(path)
    assert mapping.order.status.words == {"open": "placed", "no": "cancelled", "1": "paid"}
    assert mapping.customer.country is not None
    assert mapping.customer.country.words == {"norway": "NO", "norge": "no"}
    assert mapping.order.external_id.path == ("InvoiceNo",)
    assert mapping.order.total.computed == "sum_of_lines"
    assert mapping.events[0].step.value == "shipped"
    assert mapping.line is not None
    assert mapping.line.quantity.negate


def test_a_changed_file_is_read_anew_and_an_unchanged_one_is_not(path: Path) -> None:
    first = load(path)
    assert load(path) is first
    path.write_text(GOOD.replace("EUR", "USD"))
    os.utime(path, ns=(1, 1))
    assert load(path).order.currency.value == "USD"


@pytest.mark.parametrize("name", sorted(one.name for one in (ROOT / "docs" / "mappings").glob("*.yaml")))
def test_the_examples_can_be_used(name: str) -> None:
    assert load(ROOT / "docs" / "mappings" / name).order.status


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format: csv", "format: xml", r"format: Input should be 'csv' or 'json'"),
        ("format: csv", "format: csv\ndelimiter: ;;", "delimiter: .* at most 1 character"),
        ("format: csv", "format: csv\nencoding: utf-16", "encoding: 'utf-16' is none that can be read: write utf-8"),
        ("format: csv", "format: csv\nencoding: [utf-8, klingon]", "encoding: 'klingon' is none"),
        ("format: csv", "format: csv\nzone: Berlin", "zone: write the name of a zone, such as Europe/Berlin"),
        ("format: csv", "format: csv\nthousands: .", "thousands: is the decimal sign already"),
        ("format: csv", "format: csv\nfrmat: x", r"frmat: is no key \(did you mean 'format'\?\)"),
        ("format: csv", "format: csv\norders_at: data", "orders_at: a CSV row has no lists"),
        ("format: csv\n", "", "format: has to be there"),
        ("order:", "orders:", r"orders: is no key \(did you mean 'order'\?\)"),
        ("  currency: {value: EUR}\n", "", r"order\.currency: has to be there"),
        ("  currency: {value: EUR}", "  currencies: EUR", r"order\.currencies: is no key \(did you mean 'currency'\?\)"),
        ("{value: EUR}", "{valu: EUR}", r"order\.currency\.valu: is no key \(did you mean 'value'\?\)"),
        ("{value: EUR}", "{vaule: EUR, words: {}}", r"write either `path` \(where it stands\) or `value`|vaule: is no key"),
        ("{value: EUR}", "{value: EUR, path: Cur}", "order.currency: write either `path`"),
        ("{value: EUR}", "{words: {a: EUR}}", "order.currency: write either `path`"),
        ("{value: EUR}", "{path: Cur, otherwise: EUR}", "order.currency: `otherwise` belongs to `words` or `match`"),
        ("{value: EUR}", "{path: Cur, words: {a: b}, match: {a: b}}", "order.currency: write either `words` or `match`"),
        ("{value: EUR}", "{path: Cur, match: {'(': b}}", "order.currency.match: '\\(' is no regular expression"),
        ("{value: EUR}", "{path: Cur, type: float}", "order.currency.type: Input should be 'text', 'id'"),
        ("{value: EUR}", "{path: Cur, type: money}", "order: currency: type money does not suit it; it is read as text"),
        ("{value: EUR}", "{path: Cur, negate: true}", "order: currency: `negate` and `absolute` are for amounts"),
        ("{value: EUR}", "{path: Cur, format: '%d'}", "order: currency: `format` is for times only"),
        ("{value: EUR}", "{path: Cur, of_rows: all}", "order.currency.of_rows: Input should be 'same'"),
        ("{value: EUR}", "quantity_times_unit_price\n  tax: {computed: sum_of_lines}", "order: tax: it cannot be computed so"),
        ("'%d.%m.%Y'", "dd.mm.yyyy", "placed_at.format: 'dd.mm.yyyy' is no format: write iso, unix"),
        ("Europe/Berlin", "CEST+1", "placed_at.zone: write the name of a zone"),
        ("words: {open: placed", "words: {open: open", "order: status: open is none of our words: cancelled, completed"),
        ("{path: State, words: {open: placed, NO: cancelled, 1: paid}}", "State", "order: status: needs `words`"),
        ("{path: State, words: {open: placed, NO: cancelled, 1: paid}}", "{value: open}", "status: open is none of our words"),
        ("1: paid}}", "1: paid}, otherwise: unpaid}", "status: unpaid is none of our words"),
        ("1: paid}}", "1: paid, 1: placed}}", "no YAML, line 6: the key '1' stands twice"),
        ("step: shipped", "step: sent", r"events\.0: step: needs `words`"),
        ("  unit_price: {path: Each, type: money}\n", "", "line: total: quantity_times_unit_price needs `unit_price`"),
        ("  sku: {path: Sku, type: whole}", "  list: Lines\n  sku: Sku", "line.list: a CSV row has no lists"),
        ("format: csv", "format: json\nline:", "the key 'line' stands twice"),
        ("line:", "lines:", r"lines: is no key \(did you mean 'line'\?\)"),
        ("customer:\n", "customer: x\nother:\n", "customer: needs keys below it"),
        ("customer:\n", "customer:\n  skip_when: []\n", r"customer\.skip_when: is no key; there are country, "),
        ("line:\n", "line:\n  skip_when: [{where: {a: b}}]\n", r"line\.skip_when\.0\.because: has to be there"),
        ("line:\n", "line:\n  skip_when: [{because: x, where: {a: '['}}]\n", r"line\.skip_when\.0\.where\.0\.like: '\[' is no"),
        ("line:\n", "line:\n  skip_when: [{because: x, where: {}}]\n", r"line\.skip_when\.0\.where: .* at least 1 item"),
        ("line:\n", "line: [\n", "no YAML, line"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_names_the_file_the_key_and_what_to_write(
    path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(UnusableMapping, match=said) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty or no list of keys"),
        (b"- a", "is empty or no list of keys"),
        (b"\xff", "cannot be read: UnicodeDecodeError"),
        (b"? [a]\n: b", "no YAML"),
        (b"a: *b", "no YAML"),
    ],
)
def test_what_is_no_mapping_at_all_is_told(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UnusableMapping, match=said):
        load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableMapping, match=r"none\.yaml cannot be read: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("group_by: [InvoiceNo, Invoice]\n", "", None),
        ("  total: sum_of_lines", "  total: {path: Sum}", None),
        ("format: csv", "format: json", None),
    ],
)
def test_parts_may_be_left_out(path: Path, old: str, new: str, said: None) -> None:
    path.write_text(GOOD.replace(old, new))
    assert load(path)


def test_what_needs_lines_says_so(path: Path) -> None:
    without = GOOD[: GOOD.index("line:")]
    path.write_text(without)
    with pytest.raises(UnusableMapping, match="line: with `group_by` each row is a line"):
        load(path)
    path.write_text(without.replace("group_by: [InvoiceNo, Invoice]\n", ""))
    with pytest.raises(UnusableMapping, match=r"order\.total: sum_of_lines needs `line`"):
        load(path)
    path.write_text(GOOD.replace("format: csv", "format: json").replace("line:", "line:\n  list: positions"))
    with pytest.raises(UnusableMapping, match=r"line\.list: with `group_by` each row is a line"):
        load(path)


def test_the_documented_keys_are_the_keys() -> None:
    document = (ROOT / "docs" / "connect-your-own-system.md").read_text()
    keys = document[document.index("## The keys") :]
    told = set(re.findall(r"`(\w+)`", "\n".join(line for line in keys.splitlines() if line.startswith("|"))))
    sections = [one for one in vars(mapping_fields).values() if isinstance(one, type) and hasattr(one, "kinds")]
    wanted = set(Mapping.model_fields) | {key for one in sections for key in getattr(one, "model_fields", ())}
    assert wanted <= told
    types = document[: document.index("## The keys")]
    for kind in {*get_args(mapping_values.Kind)} - {"price", "share", "count", "instant", "country", "flag"}:
        assert f"`{kind}`" in types
