"""What is shipped to run Palabre with: the container's definition, the unit for systemd, and the proxies' pages."""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from graph.check import MainJob
from graph.client import Client
from graph.settings import FIELD_OF, settings_from, variable
from tests.graph.processes import START_SECONDS, STOP_SECONDS, free_port, lines_of, running, told_to_stop

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
PROGRAMS = "/usr/local/bin:/usr/bin:/usr/sbin"
PEER = "127.0.0.9"  # whom the proxy hears; it speaks to us from another address

# The container ------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def stage(number: int) -> list[tuple[str, str]]:
    """From its FROM on."""
    begins = [index for index, (word, _) in enumerate(instructions()) if word == "FROM"]
    return instructions()[begins[number] : begins[number + 1] if number + 1 < len(begins) else None]


def all_of(word: str, number: int = -1) -> list[str]:
    given = stage(1 if number == -1 else number)
    return [rest for each, rest in given if each == word]


def environment_of_the_image() -> dict[str, str]:
    pairs = (pair.partition("=") for line in all_of("ENV") for pair in line.split())
    return {name: value for name, _, value in pairs}


def test_the_image_runs_as_a_number_that_is_not_root_and_owns_its_volume() -> None:
    [user] = all_of("USER")
    number, _, group = user.partition(":")
    assert int(number) > 0
    assert int(group) > 0
    assert all_of("VOLUME") == ["/data"]
    [made] = [line for line in all_of("RUN") if line.endswith(" /data")]
    assert f"--owner={number} --group={group}" in made
    words = [word for word, _ in stage(1)]
    assert "RUN" not in words[words.index("USER") :]


def test_the_image_starts_the_program_itself_so_that_it_hears_when_it_is_told_to_stop() -> None:
    [entry], [command], [signal] = all_of("ENTRYPOINT"), all_of("CMD"), all_of("STOPSIGNAL")
    assert (json.loads(entry), json.loads(command), signal) == (["palabre"], ["serve"], "SIGTERM")


def test_the_image_says_how_its_health_is_asked() -> None:
    [check] = all_of("HEALTHCHECK")
    options, _, command = check.partition(" CMD ")
    assert json.loads(command) == ["palabre", "health"]
    assert {"--interval=30s", "--timeout=5s", "--start-period=60s"} <= set(options.split())


def test_the_settings_of_the_image_are_settings_and_listen_to_more_than_itself() -> None:
    given = {name: value for name, value in environment_of_the_image().items() if name.startswith("PALABRE_")}
    settings = settings_from(given)
    assert (settings.host, settings.database_url) == ("0.0.0.0", "sqlite:////data/palabre.db")
    assert all_of("EXPOSE") == [str(settings.port)]
    assert settings.production


def test_the_image_holds_no_secret_and_no_more_of_the_checkout_than_the_wheel_needs() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert not re.search(r"(?i)password|token|secret|api.?key", text)
    copied = {part for line in all_of("COPY", 0) for part in line.split()[:-1]}
    assert all((ROOT / part).exists() for part in copied)
    for name in (".containerignore", ".dockerignore"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert {line[1:] for line in lines if line.startswith("!")} == copied
        assert "*" in lines
    assert [line for line in all_of("COPY") if not line.startswith("--from=build ")] == []


def test_the_image_is_built_with_pages_or_not_at_all() -> None:
    assert any("PALABRE_REQUIRE_PAGES=1" in line for line in all_of("ENV", 0))


# The unit -----------------------------------------------------------------------------------------------------------


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "palabre.service").read_text(encoding="utf-8").splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_the_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    text = (DEPLOY / "palabre.service").read_text(encoding="utf-8")
    there = tmp_path / "palabre.service"
    there.write_text(text.replace("/opt/palabre/bin/palabre", "/bin/true"), encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(there)], check=False, capture_output=True, text=True
    )
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if "palabre" in line]) == (0, [])


def test_the_unit_runs_as_nobody_in_particular_and_writes_only_its_own_directory() -> None:
    assert unit()["DynamicUser"] == unit()["NoNewPrivileges"] == ["yes"]
    assert unit()["ProtectSystem"] == ["strict"]
    assert unit()["CapabilityBoundingSet"] == [""]
    [directory] = unit()["StateDirectory"]
    given = dict(each.split("=", 1) for each in unit()["Environment"])
    assert settings_from(given).database_url == f"sqlite:////var/lib/{directory}/palabre.db"


def test_the_unit_waits_longer_than_the_server_takes_to_stop() -> None:
    settings = settings_from({})
    [seconds] = unit()["TimeoutStopSec"]
    assert int(seconds) > settings.stop_delay_seconds + settings.stop_seconds + 10


# Proxies ------------------------------------------------------------------------------------------------------------


def for_nginx(port: str, behind: str, folder: Path) -> list[str]:
    """The page as it is shipped, but on a port of the test's and without certificates."""
    page = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    page = re.sub(r"ssl_certificate\S* .*", "", page.replace("listen 443 ssl", f"listen 127.0.0.1:{port}"))
    page = page.replace("127.0.0.1:8000", f"127.0.0.1:{behind}")
    places = " ".join(
        f"{each}_temp_path {folder}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{ access_log off; {places}\n{page}\n}}", encoding="utf-8")
    return ["nginx", "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"]


def for_caddy(port: str, behind: str, folder: Path) -> list[str]:
    page = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    page = page.replace("talk.example.org {", f"http://127.0.0.1:{port} {{").replace(
        "127.0.0.1:8000", f"127.0.0.1:{behind}"
    )
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{page}", encoding="utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


Command = Callable[[str, str, Path], list[str]]


@contextmanager
def proxied(command: list[str], port: str, folder: Path) -> Iterator[None]:
    with (
        (folder / "proxy.log").open("w") as log,
        subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env={"HOME": str(folder), "PATH": PROGRAMS}
        ) as proxy,
    ):
        try:
            while not answers(port) and proxy.poll() is None:
                pass
            assert proxy.poll() is None, (folder / "proxy.log").read_text()
            yield
        finally:
            proxy.terminate()
            proxy.wait(STOP_SECONDS)


def answers(port: str) -> bool:
    try:
        return asked(port, "/graphql?query=%7B__typename%7D").status == 200
    except OSError:
        return False


def asked(port: str, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=START_SECONDS, source_address=(PEER, 0))
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Request-ID": "of-the-client", "Accept": "application/json"}
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def found(pattern: str, said: str) -> str:
    match = re.search(pattern, said, re.MULTILINE)
    assert match, said
    return match[1]


@pytest.mark.parametrize(("program", "command"), [("nginx", for_nginx), ("caddy", for_caddy)])
async def test_behind_a_proxy_the_main_job_is_done_and_people_are_known_by_their_own_addresses(
    program: str, command: Command, tmp_path: Path
) -> None:
    if shutil.which(program, path=PROGRAMS) is None:
        pytest.skip(f"this machine has no {program}")
    port, behind = free_port(), free_port()
    with ExitStack() as stack:
        serving = (
            "demo",
            "--port",
            behind,
            "--public-url",
            f"http://127.0.0.1:{port}",
            "--trusted-proxies",
            "127.0.0.1",
        )
        process, said = stack.enter_context(running(tmp_path, *serving))
        stack.enter_context(proxied(command(port, behind, tmp_path), port, tmp_path))
        address = f"http://127.0.0.1:{port}"
        writer = ("You", Client(address, found(r"^Token +(\S+)", said)))
        job = MainJob(found(r"^Post +(\S+)", said), Client(address), (writer, writer))
        steps = [step async for step, _ in job.run()]
        assert len(steps) == 7
        response = asked(port, "/graphql?query=query+Whose%7B__typename%7D")
        assert (asked(port, "/readyz").status, asked(port, "/healthz").status) == (404, 404)
        assert told_to_stop(process) == 0
    [line] = [line for line in lines_of(tmp_path) if line.get("operation") == "Whose"]
    assert line["client"] == PEER
    assert line["request_id"] == response.headers["x-request-id"] != "of-the-client"


def test_every_setting_that_the_pages_name_is_one() -> None:
    pages = [ROOT / "Containerfile", *DEPLOY.iterdir(), ROOT / "docs" / "operating.md"]
    named = {name for page in pages for name in re.findall(r"PALABRE_[A-Z_]+", page.read_text(encoding="utf-8"))}
    assert {name for name in named if name not in FIELD_OF} <= {"PALABRE_REQUIRE_PAGES"}
    assert variable("trusted_proxies") in named
