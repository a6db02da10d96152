"""Makes docs/reply.svg: a reply that arrives in a thread, as a client sees it, of a real run.

python docs/picture.py
"""

import asyncio
import io
import json
import re
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from graph.check import Line, MainJob, way_to
from graph.commands.demo import private_job

FILE: Final = Path(__file__).parent / "reply.svg"
WIDTH: Final = 96  # columns
INDENT: Final = 2  # columns for each level
REPLY: Final = "Claire > et ici, chacun peut relire le fil, jusqu’à cette réponse."
# What a reader's own machine has: the picture fetches nothing.
FONTS: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


async def main() -> None:
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor", highlight=False
    )
    async with private_job() as job:
        job.bodies = (REPLY, job.bodies[1])
        async for step, _ in job.run():
            if step == "Answer, and see it arrive":
                draw(console, job)
                break
    FILE.write_text(without_addresses(console.export_svg(title="palabre", unique_id="reply")), encoding="utf-8")


def draw(console: Console, job: MainJob) -> None:
    assert job.answered is not None
    frame = job.replies[0].frame
    console.print(f'subscription {{ thread(postId: "{job.post_id}", after: $liveCursor) {{ … }} }}', style="cyan")
    console.print()
    console.print(Text(job.title, style="bold"))
    by_id = {line.id: line for line in job.lines}
    for line in [*(by_id[each] for each in way_to(job.lines, job.answered)), job.answered]:
        console.print(row(line))
    place, author = frame["position"], frame["comment"]["byline"]["author"]["displayName"]
    arrived = Line(frame["comment"]["id"], place["depth"], None, author, frame["comment"]["bodyText"])
    console.print(row(arrived, style="bold green"))
    console.print()
    shown = {
        "__typename": frame["__typename"],
        "position": {"depth": place["depth"]},
        "post": frame["post"],
    }
    console.print(Text(json.dumps(shown), style="green"))


def row(line: Line, style: str = "") -> Text:
    """One line of the window, cut where it ends."""
    said = " ".join(line.text.split())
    text = Text(" " * INDENT * line.depth, no_wrap=True, overflow="ellipsis")
    text.append(f"{line.author}  ", style=style or "bold blue")
    text.append(said, style=style or "")
    text.truncate(WIDTH - 1, overflow="ellipsis")
    return text


def without_addresses(svg: str) -> str:
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]+;", f"font-family: {FONTS};", svg)
    return re.sub(r"<!--.*?-->\s*", "", svg)


if __name__ == "__main__":
    asyncio.run(main())
