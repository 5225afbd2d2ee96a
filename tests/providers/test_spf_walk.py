"""SPF over our own look-ups: the RFC's test suite, and what is counted beyond the limits."""

from pathlib import Path
from typing import Any

import pytest
import spf
import yaml

from domain.dns_answers import Answer, Standing
from providers import spf_walk
from providers.spf_walk import walked

SUITE = Path(__file__).parents[1] / "payloads/spf/rfc7208-tests.yml"
TOO_MANY, TOO_VOID = 10, 2


class Zone:
    """A DNS of plain data, as the suite has it: name → list of {kind: value} or "TIMEOUT"."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        self.data = {name.lower(): rows for name, rows in data.items()}

    def ask(self, name: str, kind: str, depth: int = 0) -> Answer:
        plain = name.rstrip(".").lower()
        rows = self.data.get(plain)
        if rows is None:
            return Answer(plain, kind, Standing.NO_NAME)
        records = [(key, value) for row in rows if isinstance(row, dict) for key, value in row.items()]
        own_txt = any(key == "TXT" for key, _ in records)
        values: list[str] = []
        for key, value in records:
            if key == "CNAME" and kind != "CNAME" and depth < 10:
                return self.ask(value, kind, depth + 1)
            if (key if own_txt or key != "SPF" else "TXT") == kind and value != "NONE":  # the suite: SPF stands for TXT
                if value == "TIMEOUT":
                    return Answer(plain, kind, Standing.UNCLEAR, trouble="no answer in time")
                values.append(_text(kind, value))
        if not values and "TIMEOUT" in rows:
            return Answer(plain, kind, Standing.UNCLEAR, trouble="no answer in time")
        return Answer(plain, kind, Standing.THERE if values else Standing.NO_RECORD, tuple(values))


def _text(kind: str, value: Any) -> str:
    if kind == "TXT":
        parts = [value] if isinstance(value, str) else value
        return "".join(parts).encode().decode("latin-1")
    return f"{value[0]} {value[1] or '.'}" if kind == "MX" else str(value).rstrip(".")


def cases() -> list[Any]:
    scenarios = yaml.safe_load_all(SUITE.read_text())
    return [
        pytest.param(scenario["zonedata"], test, id=name)
        for scenario in scenarios
        for name, test in scenario["tests"].items()
    ]


@pytest.mark.parametrize(("zone", "test"), cases())
def test_the_suite_of_the_rfc(zone: dict[str, list[Any]], test: dict[str, Any]) -> None:
    query = spf_walk._Query(Zone(zone), str(test["host"]), "shop.com")
    spf.query.__init__(query, i=str(test["host"]), s=test["mailfrom"], h=test["helo"])
    result, _, _ = query.check()
    if query.lookups > TOO_MANY or query.void_lookups > TOO_VOID:
        result = "permerror"  # we count on, and judge by the count
    expected = test["result"] if isinstance(test["result"], list) else [test["result"]]
    assert result in expected


def test_look_ups_are_counted_beyond_the_limit_and_not_without_end() -> None:
    zone = {f"i{n}.net": [{"TXT": "v=spf1 -all"}] for n in range(30)}

    def of(count: int) -> Zone:
        return Zone({**zone, "shop.com": [{"TXT": "v=spf1 " + " ".join(f"include:i{n}.net" for n in range(count))}]})

    assert walked(of(14), "shop.com").look_ups == 14
    endless = walked(of(30), "shop.com")
    assert (endless.result, endless.problem) == ("permerror", "more than 20 look-ups")


def test_a_macro_of_the_address_that_nobody_has_is_no_void_look_up() -> None:
    zone = Zone({"shop.com": [{"TXT": "v=spf1 exists:%{i}._spf.shop.com exists:%{ir}.a.com a:%{ir}.b.com ptr -all"}]})
    walk = walked(zone, "shop.com")
    assert (walk.result, walk.look_ups, walk.void) == ("fail", 4, 0)


def test_the_records_that_were_read_are_told_in_order() -> None:
    zone = Zone(
        {
            "shop.com": [{"TXT": "v=spf1 include:One.net -all"}],
            "one.net": [{"TXT": "v=spf1 redirect=two.net"}],
            "two.net": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
        }
    )
    walk = walked(zone, "shop.com")
    assert list(walk.visited) == ["shop.com", "one.net", "two.net"]
    assert walked(zone, "shop.com", "192.0.2.1").result == "pass"
    assert walked(zone, "shop.com", "2001:db8::1").result == "fail"


def test_trouble_below_is_no_verdict() -> None:
    zone = Zone({"shop.com": [{"TXT": "v=spf1 include:slow.net -all"}], "slow.net": ["TIMEOUT"]})
    walk = walked(zone, "shop.com")
    assert (walk.result, walk.problem) == ("temperror", "slow.net TXT: no answer in time")


def test_a_record_that_pyspf_cannot_take_is_no_verdict() -> None:
    walk = walked(Zone({"shop.com": [{"TXT": f"v=spf1 a:x.net/{'1' * 5000} -all"}]}), "shop.com")
    assert (walk.result, walk.problem) == ("temperror", "pyspf cannot evaluate the record (ValueError)")
