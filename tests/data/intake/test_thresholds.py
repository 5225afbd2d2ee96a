import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data.intake import rules, thresholds
from data.intake.thresholds import UnusableThresholds

SHIPPED = Path(__file__).parents[3] / "data/expectations/intake.yaml"
NAMES = [rule.name for rule in rules.ROW_RULES]


def book(text: str) -> thresholds.ThresholdBook:
    return thresholds.parse(text, "intake.yaml")


def test_the_shipped_file_says_something_of_every_rule() -> None:
    thresholds.load(SHIPPED)
    assert sorted(yaml.safe_load(SHIPPED.read_text())["defaults"]["rules"]) == sorted(NAMES)


def test_every_rule_has_thresholds_and_every_threshold_a_rule() -> None:
    assert sorted(thresholds.Rules.model_fields) == sorted(NAMES)


def test_what_is_not_said_is_as_above() -> None:
    found = book("").of("shop", "csv")
    assert (found.refuse_share, found.of_at_least, found.within_hours) == (0.05, 200, 24)
    assert found.rule("email_missing").row == "keep"
    assert found.rule("in_the_future").row == "refuse"


def test_an_adapters_own_word_refuses_the_order_and_no_batch() -> None:
    found = book("").of("shop", "csv").rule("status_unknown")
    assert (found.row, found.share) == ("refuse", 1)


def test_the_account_overlays_the_channel_overlays_the_adapter_overlays_the_defaults() -> None:
    found = book("""
defaults: {refuse_share: 0.1, of_at_least: 10, rules: {email_missing: {row: refuse, share: 0.5}}}
channels:
  shopify: {within_hours: 5, rules: {email_missing: {share: 0.4}, status_unknown: {share: 0.2}}}
  shopify-de: {rules: {email_missing: {share: 0.3}}}
accounts:
  shop: {shopify-de: {refuse_share: 0.2, rules: {total_mismatch: {tolerance: 0.1}}}}
""")
    mine = found.of("shop", "shopify-de", "shopify")
    assert (mine.refuse_share, mine.of_at_least, mine.within_hours) == (0.2, 10, 5)
    assert (mine.rule("email_missing").row, mine.rule("email_missing").share) == ("refuse", 0.3)
    assert mine.rules.total_mismatch.tolerance == 0.1
    assert mine.shares() == {"email_missing": 0.3, "status_unknown": 0.2}
    others = found.of("other", "shopify-fr", "shopify")
    assert (others.refuse_share, others.shares()["email_missing"]) == (0.1, 0.4)
    assert found.of("shop", "csv").within_hours == 24


def test_the_same_question_gets_the_same_object() -> None:
    found = book("")
    assert found.of("shop", "csv") is found.of("shop", "csv")
    assert found.of("shop", "csv") is not found.of("shop", "till")


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "intake.yaml"
    path.write_text("defaults: {refuse_share: 0.1}")
    first = thresholds.load(path)
    assert thresholds.load(path) is first
    path.write_text("defaults: {refuse_share: 0.2}")
    os.utime(path, ns=(0, 10**18))
    assert thresholds.load(path).of("shop", "csv").refuse_share == 0.2


def test_a_section_may_be_empty() -> None:
    assert book("defaults:\nchannels:\n  csv:\n    rules:\naccounts:\n  shop:\n").of("shop", "csv").refuse_share == 0.05


@pytest.mark.parametrize(
    ("text", "key", "do"),
    [
        ("defaults: {refuse_share: 5}", "defaults.refuse_share", "write 0.05 for 5 %"),
        ("defaults: {refuse_share: .nan}", "defaults.refuse_share", "finite"),
        ("defaults: {refuse_share: true}", "defaults.refuse_share", "number"),
        ("defaults: {refuse_shares: 0.1}", "defaults.refuse_shares", "no key that is known"),
        ("default: {}", "default", "no key that is known"),
        ("[]", "the file", "section"),
        ("defaults: {of_at_least: 0}", "defaults.of_at_least", "greater than or equal to 1"),
        ("channels: {csv: 1}", "channels.csv", "section"),
        ("channels: {no: {}}", "channels", "put it in quotes"),
        ("channels: {csv: {rules: {email_missing: keep}}}", "channels.csv.rules.email_missing", "{row: keep}"),
        ("channels: {csv: {rules: {email_missing: {row: kept}}}}", "channels.csv.rules.email_missing.row", "'keep'"),
        (
            "channels: {csv: {rules: {email_missing: {tolerance: 1}}}}",
            "email_missing.tolerance",
            "no key that is known",
        ),
        ("defaults: {rules: {emial_missing: {share: 0.1}}}", "defaults.rules", "did you mean email_missing?"),
        ("defaults: {rules: {status_unknown: {row: keep}}}", "defaults.rules", "write row: refuse"),
        ("defaults: {rules: {in_the_future: {row: keep}}}", "in_the_future.row", "can only be refuse"),
        ("defaults: {rules: {line_number_twice: {row: keep}}}", "line_number_twice.row", "can only be refuse"),
        ("defaults: {rules: {too_old: {oldest_year: 1}}}", "too_old.oldest_year", "1970"),
        ("accounts: {a: {b: {rules: {currency_foreign: {allowed: [EURO]}}}}}", "accounts.a.b.rules", "EURO is no ISO"),
        ("channels: {}\nchannels: {}", "line 2", "stands twice"),
        ("channels: {csv: {}, csv: {}}", "line 1", "stands twice"),
        ("channels: [", "line 1", "no YAML"),
        (b"\xff\xfe\xfd", "intake.yaml", "no YAML"),
    ],
)
def test_a_fault_is_told_with_the_file_the_key_and_what_to_write(text: str, key: str, do: str) -> None:
    with pytest.raises(UnusableThresholds) as told:
        book(text)
    assert str(told.value).startswith("intake.yaml")
    assert key in str(told.value)
    assert do in str(told.value)


def test_without_a_file_nothing_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(UnusableThresholds, match="cannot be read: No such file"):
        thresholds.load(tmp_path / "intake.yaml")


SHARES = st.floats(0, 1, allow_nan=False)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "refuse_share": SHARES,
        "within_hours": st.integers(1, 100),
        "rules": st.dictionaries(
            st.sampled_from(("email_missing", "sku_missing", "status_unknown")),
            st.fixed_dictionaries({"share": SHARES}),
        ),
    },
)


@given(defaults=PARTS, channel=PARTS, account=PARTS)
def test_each_value_is_that_of_the_nearest_section_that_says_it(defaults: dict, channel: dict, account: dict) -> None:
    file = {"defaults": defaults, "channels": {"csv": channel}, "accounts": {"shop": {"csv": account}}}
    found = book(yaml.safe_dump(file)).of("shop", "csv")
    nearest = (account, channel, defaults)
    assert found.refuse_share == next((one["refuse_share"] for one in nearest if "refuse_share" in one), 0.05)
    assert found.within_hours == next((one["within_hours"] for one in nearest if "within_hours" in one), 24)
    for name in ("email_missing", "sku_missing", "status_unknown"):
        said = (one["rules"][name]["share"] for one in nearest if name in one.get("rules", {}))
        assert found.rule(name).share == next(said, 1)
