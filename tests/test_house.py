"""The house rules that a program can check, so that nobody has to say them in a review."""

import ast
import os
import re
import tomllib
import warnings
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGES = ("graph", "subscriptions")
TESTED = (*PACKAGES, "benchmarks")
CODE = (*TESTED, "examples", "tests")
BUILT = {"__pycache__", "node_modules", "dist", "build", "generated", "__generated__"}
BROAD = ("Exception", "BaseException")
TEXT = {".py", ".md", ".toml", ".txt", ".graphql", ".ini", ".json", ".js", ".mjs", ".ts", ".tsx", ".html", ".css", ""}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for at, below, names in os.walk(ROOT / folder):
            below[:] = sorted(set(below) - BUILT)  # what is built is many, and none of ours
            yield from (Path(at) / each for each in sorted(names))


def modules(*folders: str) -> list[Path]:
    return [path for path in sources(*folders) if path.suffix == ".py"]


def texts() -> list[Path]:
    at_the_top = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")]
    return [path for path in (*at_the_top, *sources(*CODE, "docs", ".ci")) if path.suffix in TEXT]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_with(pattern: str, paths: list[Path]) -> list[str]:
    wanted = re.compile(pattern)
    return [
        f"{name(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if wanted.search(line)
    ]


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", modules(*CODE), ids=name)
def test_a_module_opens_with_a_sentence(path: Path) -> None:
    opening = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    assert re.match(r"[A-Z`*]", opening), "no docstring that begins like a sentence"
    assert re.search(r"[.?!:…]$", opening), "its first paragraph does not end like a sentence"


def is_broad(caught: ast.expr | None) -> bool:
    """Whether an `except` clause takes every error there is."""
    named = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(each is None or (isinstance(each, ast.Name) and each.id in BROAD) for each in named)


def swallowing(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
            if all(isinstance(line, ast.Pass | ast.Continue) or is_ellipsis(line) for line in node.body):
                yield f"{name(path)}:{node.lineno}"
        elif (
            isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and any(map(is_broad, node.args))
        ):
            yield f"{name(path)}:{node.lineno}"


def is_ellipsis(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and line.value.value is ...


def test_no_defect_is_swallowed() -> None:
    assert [place for path in modules(*CODE) for place in swallowing(path)] == []


def test_nothing_is_suppressed_without_its_reason_on_the_line() -> None:
    bare = r"#\s*type:\s*ignore(?!\[[\w, -]+\]\s+#\s*\w)|#\s*noqa(?!:\s*[A-Z0-9, ]+\s+#?\s*\w)|#\s*pragma: no cover\s*$"
    assert lines_with(bare, [path for path in modules(*CODE) if path != Path(__file__)]) == []


def test_no_test_sleeps() -> None:
    # A second or more is a wait for something that has a name; sleep(0) and short polls are not.
    slept = r"\btime\.sleep\(|\b(?:asyncio|anyio)\.sleep\([1-9]"
    assert lines_with(slept, [path for path in modules("tests") if path != Path(__file__)]) == []


@pytest.mark.parametrize("path", [path for path in modules("tests") if path.name.startswith("test_")], ids=name)
def test_a_test_stands_where_its_subject_stands(path: Path) -> None:
    folder = path.parent.relative_to(ROOT / "tests")
    if folder == Path():
        return  # about the whole: the house, the wheel, the demo
    assert folder.parts[0] in TESTED
    subjects = {each.stem for each in (ROOT / folder).iterdir() if each.is_dir() or each.suffix == ".py"}
    tested = path.stem.removeprefix("test_")
    assert any(tested == subject or tested.startswith(f"{subject}_") for subject in subjects)


def test_no_path_of_one_machine_is_written_down() -> None:
    homes = r"/(?:home|Users|root)/\w"
    assert lines_with(f"{homes}|{re.escape(str(ROOT))}/|{re.escape(str(Path.home()))}/", texts()) == []


def test_no_address_of_a_package_index_is_written_down() -> None:
    index = r"(?:index-url|find-links)[ =]+\W?(?:https?|file):|registry\s*=\s*\W?http|\"resolved\":\s*\"http|\bfile://(?!/etc/)"
    assert lines_with(index, [path for path in texts() if path != Path(__file__)]) == []


def test_texts_are_utf_8_with_unix_line_ends_and_no_invisible_marks() -> None:
    for path in texts():
        text = path.read_bytes().decode("utf-8")
        assert not re.search("[\r\N{ZERO WIDTH NO-BREAK SPACE}]", text), name(path)


def test_what_the_package_reads_at_run_time_lies_in_the_package() -> None:
    content = files("graph.exchange") / "demo_content"
    assert {each.name for each in content.iterdir()} == {
        "people.toml",
        "publier-pour-etre-reconnu.toml",
        "did-the-answer-help.toml",
    }


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(wanted): version for wanted, version in pairs}


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def requirements() -> list[str]:
    about = project()["project"]
    assert isinstance(about, dict)
    return [*about["dependencies"], *(line for extra in about["optional-dependencies"].values() for line in extra)]


@pytest.mark.parametrize("line", requirements())
def test_each_requirement_is_pinned_within_its_range(line: str) -> None:
    requirement = Requirement(line)
    assert requirement.specifier.contains(pinned()[canonicalize_name(requirement.name)])


def test_the_newest_entry_of_the_changes_is_this_version() -> None:
    about = project()["project"]
    assert isinstance(about, dict)
    changes = (ROOT / "docs" / "changes.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+?),", changes, re.MULTILINE)
    assert newest
    assert newest[1] == about["version"]


def test_each_decision_has_its_four_parts() -> None:
    pages = [path for path in sources("docs/decisions") if path.name != "README.md"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Choice", "What we gave up", "What would change our mind"], name(page)


def test_a_warning_is_an_error() -> None:
    with pytest.raises(DeprecationWarning):
        warnings.warn("something will go away", DeprecationWarning, stacklevel=1)
