"""Settings: what an operator is told when one of them is wrong, and what is never shown."""

from typing import Any

import pytest

from graph.settings import Settings, WrongSetting, WrongSettings, masked, settings_from


def refused(env: dict[str, str], **overrides: Any) -> list[str]:
    with pytest.raises(WrongSettings) as caught:
        settings_from(env, overrides)
    assert str(caught.value) == "\n".join(map(str, caught.value.wrong))
    return [str(wrong) for wrong in caught.value.wrong]


def test_nothing_needs_to_be_set() -> None:
    settings = settings_from({})
    assert (settings.database_url, settings.host, settings.port) == ("sqlite:///palabre.db", "127.0.0.1", 8000)
    assert (settings.production, settings.public_url, settings.allowed_origins) == (False, None, ())


def test_a_setting_comes_from_its_variable() -> None:
    env = {
        "PALABRE_DATABASE_URL": "postgresql://talk@127.0.0.1/talk",
        "PALABRE_PORT": "9000",
        "PALABRE_PRODUCTION": "true",
        "PALABRE_LIVE_HEARTBEAT_SECONDS": "12.5",
    }
    settings = settings_from(env)
    assert settings.database_url == "postgresql://talk@127.0.0.1/talk"
    assert (settings.port, settings.production, settings.live_heartbeat_seconds) == (9000, True, 12.5)


def test_an_option_wins_over_the_variable_unless_it_was_not_given() -> None:
    settings = settings_from({"PALABRE_PORT": "9000", "PALABRE_HOST": "::1"}, {"port": 9001, "host": None})
    assert (settings.port, settings.host) == (9001, "::1")


def test_the_environment_of_the_process_has_no_influence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALABRE_PORT", "9000")
    monkeypatch.setenv("PORT", "9001")
    assert settings_from({}).port == 8000


def test_variables_of_other_programs_and_of_the_tests_are_left_alone() -> None:
    env = {"PORT": "1", "PALABRE_TEST_POSTGRES_URL": "x", "PALABRE_REQUIRE_PAGES": "1", "PALABRE_SHARED_DATA": "y"}
    assert settings_from(env) == settings_from({})


def test_a_wrong_value_is_refused_by_the_name_of_its_variable_with_what_is_allowed() -> None:
    assert refused({"PALABRE_PORT": "99999"}) == [
        "PALABRE_PORT ('99999') should be less than or equal to 65535."
        "  Expected: the TCP port to listen on, 1 to 65535."
    ]


def test_a_wrong_option_is_refused_by_the_name_of_the_option() -> None:
    assert refused({"PALABRE_SESSION_DAYS": "10"}, session_days=0) == [
        "--session-days (0) should be greater than or equal to 1."
        "  Expected: days until one has to sign in again, 1 to 3650."
    ]


def test_an_unknown_variable_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(WrongSettings) as caught:
        settings_from({"PALABRE_DATABSE_URL": "sqlite:///other.db"})
    reason = "is not a setting.  The nearest one is PALABRE_DATABASE_URL."
    assert caught.value.wrong == (WrongSetting("PALABRE_DATABSE_URL", reason),)


def test_a_variable_in_small_letters_is_unknown_rather_than_ignored() -> None:
    assert refused({"palabre_port": "9000"}) == ["palabre_port is not a setting.  The nearest one is PALABRE_PORT."]


def test_all_that_is_wrong_is_told_at_once() -> None:
    env = {"PALABRE_PROT": "1", "PALABRE_LOG_LEVEL": "loud", "PALABRE_PAGE_LIMIT": "0"}
    names = [line.split()[0] for line in refused(env, port="eighty")]
    assert sorted(names) == ["--port", "PALABRE_LOG_LEVEL", "PALABRE_PAGE_LIMIT", "PALABRE_PROT"]


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_an_empty_value_is_refused_rather_than_guessed(field: str) -> None:
    name = f"PALABRE_{field.upper()}"
    [line] = refused({name: ""})
    assert line == f"{name} is empty.  Expected: {Settings.model_fields[field].description}."


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://root:hunter2@db/talk", "begins with mysql://"),
        ("postgres://root:hunter2@db/talk", "begins with postgres://"),
        ("root:hunter2@db", "is not an address"),
        ("postgresql://root:hunter2/3@db/talk", "is not a well-formed address"),
        ("postgresql://db:hunter2/talk", "is not a well-formed address"),
        ("sqlite:///", "names no file"),
        ("sqlite://palabre.db", "names no file"),
        ("sqlite:///:memory:", "is in memory, where the connections of one process cannot meet"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_showing_its_password(url: str, complaint: str) -> None:
    [line] = refused({"PALABRE_DATABASE_URL": url})
    assert line.startswith(f"PALABRE_DATABASE_URL {complaint}.  Expected: where everything is kept")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////srv/talk/a:b@c.db", "sqlite:////srv/talk/a:b@c.db"),
        ("postgresql://talk@db:5432/talk", "postgresql://talk@db:5432/talk"),
        ("postgresql://talk:hunter2@db:5432/talk", "postgresql://talk:***@db:5432/talk"),
        ("postgresql://talk:hun/t@er2@db/talk", "postgresql://talk:***@db/talk"),
        ("postgresql://:hunter2@db/talk", "postgresql://:***@db/talk"),
        ("postgresql://db/talk?user=talk&password=hunter2&x=1", "postgresql://db/talk?user=talk&password=***&x=1"),
    ],
)
def test_the_password_of_the_database_is_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_printed_settings_hold_no_password() -> None:
    settings = settings_from({"PALABRE_DATABASE_URL": "postgresql://talk:hunter2@db/talk"})
    assert settings.database_url == "postgresql://talk:hunter2@db/talk"
    assert "postgresql://talk:***@db/talk" in repr(settings)
    assert "hunter2" not in repr(settings) + str(settings)


def test_origins_are_kept_as_browsers_send_them() -> None:
    env = {"PALABRE_ALLOWED_ORIGINS": "https://App.example.org/, http://localhost:5173,https://a.example:443"}
    assert settings_from(env).allowed_origins == (
        "https://app.example.org",
        "http://localhost:5173",
        "https://a.example",
    )


@pytest.mark.parametrize("origin", ["*", "app.example.org", "https://app.example.org/talk", "ftp://app.example.org"])
def test_an_origin_is_a_scheme_a_host_and_a_port(origin: str) -> None:
    [line] = refused({"PALABRE_ALLOWED_ORIGINS": f"https://fine.example, {origin}"})
    assert line.startswith(f"PALABRE_ALLOWED_ORIGINS ('{origin}') ")


@pytest.mark.parametrize("url", ["talk.example.org", "//talk.example.org", "https://", "https://a.example/?x=1"])
def test_the_public_address_is_absolute(url: str) -> None:
    [line] = refused({"PALABRE_PUBLIC_URL": url})
    assert line.startswith(f"PALABRE_PUBLIC_URL ('{url}') ")


def test_a_password_in_the_public_address_is_refused_and_not_shown() -> None:
    [line] = refused({"PALABRE_PUBLIC_URL": "https://greg:hunter2@talk.example.org"})
    assert "hunter2" not in line


def test_the_public_address_has_no_slash_at_its_end() -> None:
    assert settings_from({"PALABRE_PUBLIC_URL": "https://a.example/talk/"}).public_url == "https://a.example/talk"


@pytest.mark.parametrize("host", ["http://localhost", "local host", "localhost/"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    [line] = refused({"PALABRE_HOST": host})
    assert line == (
        f"PALABRE_HOST ('{host}') is neither an IP address nor a host name."
        "  Expected: the address to listen on, an IP address or a host name."
    )


def test_settings_do_not_change_while_the_server_runs() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings_from({}).port = 9000


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_each_setting_says_what_it_is_for(field: str) -> None:
    description = Settings.model_fields[field].description
    assert description
    assert not description.endswith(".")


MAIL = {"PALABRE_MAIL_URL": "smtp://talk:hun%40ter2@mail.example.org:587", "PALABRE_MAIL_FROM": "noreply@example.org"}


def test_mail_goes_through_a_server_and_is_from_somebody() -> None:
    settings = settings_from({**MAIL, "PALABRE_MAIL_FROM": "Palabre <noreply@example.org>"})
    assert (settings.mail_url, settings.mail_from) == (MAIL["PALABRE_MAIL_URL"], "Palabre <noreply@example.org>")
    assert "mail_url='smtp://talk:***@mail.example.org:587'" in repr(settings)
    assert "ter2" not in repr(settings) + str(settings)


@pytest.mark.parametrize("given", sorted(MAIL))
def test_of_a_mail_server_and_a_sender_neither_goes_without_the_other(given: str) -> None:
    [missing] = MAIL.keys() - {given}
    [line] = refused({given: MAIL[given]})
    assert line.startswith(f"{missing} is missing beside {given}.  Expected: ")
    assert "ter2" not in line


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("https://mail.example.org", "is not an smtp or smtps address"),
        ("talk:hunter2@mail.example.org", "is not an smtp or smtps address"),
        ("smtp://talk@example.org:hunter2@mail.example.org", "has more or less than a user, a password, a host"),
        ("smtp://", "has more or less than a user, a password, a host"),
        ("smtp://mail.example.org/?password=hunter2", "has more or less than a user, a password, a host"),
        ("smtp://hunter2@mail.example.org", "has a user without a password"),
        ("smtp://talk:hunter2@mail.example.org:port", "is not a well-formed address"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_refused_without_showing_its_password(url: str, complaint: str) -> None:
    [line] = refused(MAIL | {"PALABRE_MAIL_URL": url})
    assert line.startswith(f"PALABRE_MAIL_URL {complaint}")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "sender", ["noreply", "Palabre", "Palabre noreply@example.org", "a@example.org, b@example.org", "A\r\nX: y <a@b.c>"]
)
def test_a_sender_is_an_address_with_or_without_a_name(sender: str) -> None:
    [line] = refused(MAIL | {"PALABRE_MAIL_FROM": sender})
    assert line.startswith("PALABRE_MAIL_FROM (")


@pytest.mark.parametrize(
    "template",
    [
        "https://app.example.org/reset",
        "https://app.example.org/{code}/{code}",
        "app.example.org/{code}",
        "ftp://a.example/{code}",
    ],
)
def test_a_link_has_the_place_of_its_code_once(template: str) -> None:
    [line] = refused({"PALABRE_MAIL_RESET_LINK": template})
    assert line.startswith("PALABRE_MAIL_RESET_LINK (")


def test_the_public_address_is_the_sites_and_not_the_apis() -> None:
    assert settings_from({"PALABRE_PUBLIC_URL": "https://example.org/talk/"}).public_url == "https://example.org/talk"
    [line] = refused({"PALABRE_PUBLIC_URL": "https://example.org/talk/graphql/"})
    assert "is the address of the API; leave out /graphql at its end." in line


def test_proxies_are_named_by_addresses_and_networks() -> None:
    assert settings_from({}).trusted_proxies == ()
    env = {"PALABRE_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8,2001:db8::/32"}
    assert [str(network) for network in settings_from(env).trusted_proxies] == [
        "127.0.0.1/32",
        "10.0.0.0/8",
        "2001:db8::/32",
    ]


@pytest.mark.parametrize("proxy", ["*", "localhost", "10.0.0.1/8", "10.0.0", "proxy.example.org"])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    [line] = refused({"PALABRE_TRUSTED_PROXIES": f"127.0.0.1, {proxy}"})
    assert line.startswith(f"PALABRE_TRUSTED_PROXIES ('{proxy}') ")
