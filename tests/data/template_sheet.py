"""`python -m tests.data.template_sheet`: the pictures of docs/templates.md and its table of fields, made anew."""

import re
import tempfile
from pathlib import Path

from PIL import Image

from data import content
from domain.template_fields import FIELDS
from tests.data.test_template_looks import PHONE, opened, rendered
from tests.gateway import browser

DOCS = Path(__file__).parent.parent.parent / "docs"
ORDER = (
    *("order-confirmation", "payment-received", "shipped", "delivered", "refunded", "order-cancelled"),
    *("password-reset", "account-changed", "one-time-code"),
)
_SCALE, _TALLEST, _GAP = 0.56, 1_330, 14


def table() -> str:
    """Every field as a row of Markdown."""
    rows = ["| field | type | comes from | without a value | meaning |", "|---|---|---|---|---|"]
    for one in FIELDS.values():
        fallback = "needed" if one.fallback is None else one.fallback or "left out"
        rows.append(f"| `{one.name}` | {one.kind} | {one.source} | {fallback} | {one.meaning} |")
    return "\n".join(rows)


def sheet(files: list[Path], columns: int) -> Image.Image:
    """All pictures beside and below each other."""
    shots = [Image.open(file).convert("RGB") for file in files]
    shots = [one.crop((0, 0, one.width, min(one.height, _TALLEST))) for one in shots]
    small = [
        one.resize((round(one.width * _SCALE), round(one.height * _SCALE)), Image.Resampling.LANCZOS) for one in shots
    ]
    width, rows = small[0].width + _GAP, [small[at : at + columns] for at in range(0, len(small), columns)]
    heights = [max(one.height for one in row) + _GAP for row in rows]
    whole = Image.new("RGB", (columns * width + _GAP, sum(heights) + _GAP), "#8d8779")
    for number, row in enumerate(rows):
        for place, one in enumerate(row):
            whole.paste(one, (_GAP + place * width, _GAP + sum(heights[:number])))
    return whole


def main() -> None:
    known = content.names()
    german = [f"{name}-de" for name in ORDER if f"{name}-de" in known]
    english = [*ORDER, *(name for name in known if name not in ORDER and name not in german)]
    program = browser.found()
    assert program is not None, "a Chromium is needed"
    with tempfile.TemporaryDirectory() as place, browser.tab(program) as tab:
        for file, names, scheme in (
            ("light", english, "light"),
            ("dark", english, "dark"),
            ("german", german, "light"),
        ):
            shots = []
            for name in names:
                opened(tab, Path(place), rendered(name), width=PHONE, scheme=scheme)
                shots.append(Path(place) / f"{name}-{scheme}.png")
                tab.picture(shots[-1])
            whole = sheet(shots, 5)
            whole.save(DOCS / "images" / f"templates-{file}.jpg", quality=72, optimize=True, progressive=True)
    page = DOCS / "templates.md"
    text = re.sub(r"\| field \| type .*?(?=\n\n)", lambda _: table(), page.read_text("utf-8"), flags=re.DOTALL)
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
