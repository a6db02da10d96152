"""Writes the table of settings into docs/operating.md, from the page in the code where they all are.

python docs/settings.py
"""

import re
from pathlib import Path
from typing import Final

from graph.settings import Settings, variable

PAGE: Final = Path(__file__).parent / "operating.md"
BETWEEN: Final = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


def table() -> str:
    rows = [
        f"| `{variable(name)}` | {shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| Variable | Else | What it is |", "|---|---|---|", *rows, ""])


def shown(default: object) -> str:
    if default is None or default == ():
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def written(page: str) -> str:
    return BETWEEN.sub(lambda _: table(), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
