"""The wheel, built and installed beside the checkout: it holds the page, serves it, and does the main job."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from benchmarks.servers import START_SECONDS, free_ports
from graph.web import build

ROOT = Path(__file__).parent.parent
PAGE = "graph/web/dist/"
BROWSER = {"accept": "text/html,*/*;q=0.8"}


def run(*command: str | Path, cwd: Path) -> str:
    """What it said.  Raises AssertionError where it failed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PALABRE_", "PYTHONPATH"))}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def palabre(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has Palabre from the wheel, and what it depends on from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    [packages] = (folder / "lib").glob("python*/site-packages")
    here = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "dependencies.pth").write_text("\n".join(here), encoding="utf-8")
    place = run(python, "-c", "import graph; print(graph.__file__)", cwd=folder)
    assert Path(place.strip()).is_relative_to(packages)
    return folder / "bin" / "palabre"


def test_it_holds_the_page_and_nothing_that_it_is_made_from(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    built = {PAGE + path.relative_to(build.BUILT).as_posix() for path in build.BUILT.rglob("*") if path.is_file()}
    assert {name for name in names if name.startswith(PAGE)} == built
    assert {PAGE + "index.html", PAGE + "licenses.md"} < built
    others = {name.split("/")[0] for name in names}
    assert others == {"graph", "subscriptions", *(name for name in others if name.endswith(".dist-info"))}
    assert [name for name in names if re.search(r"node_modules|\.jsx|web/source|\.pyc$", name)] == []


def test_the_installed_command_serves_the_page_and_its_files(palabre: Path, tmp_path: Path) -> None:
    with served(palabre, tmp_path) as address:
        page = httpx2.get(f"{address}/graphql", headers=BROWSER)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(files) >= 3
        for file in files:
            got = httpx2.get(str(page.url.join(file)))
            assert (got.status_code, len(got.content) > 100) == (200, True), file


@contextmanager
def served(palabre: Path, folder: Path) -> Iterator[str]:
    port = str(free_ports(1)[0])
    process = subprocess.Popen(
        [palabre, "serve", "--port", port], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    try:
        # It says so when it can be reached; were it to end instead, so would what it says.
        assert any(line.startswith("Ctrl-C ends it") for line in process.stdout)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


def test_the_installed_command_does_the_main_job(palabre: Path, tmp_path: Path) -> None:
    said = run(palabre, "demo", "--check", cwd=tmp_path)
    assert said.endswith("Done: what one reads can be followed from there, and nothing is lost.\n")
    assert list(tmp_path.iterdir()) == []
