"""The command line: every command, its options, and how what goes wrong is told.

0  it was done        1  it could not be done, standard error says why
2  it was asked in the wrong way: an option or a setting that cannot be used
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from graph.commands.console import note, say
from graph.commands.failures import Failure
from graph.commands.options import takes_settings
from graph.commands.users import users_app
from graph.refusals import Refusal
from graph.settings import Settings, WrongSettings

INTERRUPTED = 130  # what shells expect of a command that Ctrl-C has ended before it was done


class Shape(StrEnum):
    """As graph.exchange.shapes has them."""

    MIXED = "mixed"
    WIDE = "wide"
    DEEP = "deep"


class Commands(TyperGroup):
    """Tells people what went wrong in sentences; a defect keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except WrongSettings as wrong:
            note(str(wrong))
            raise typer.Exit(2) from wrong
        except (Failure, Refusal) as refused:
            note(str(refused))
            raise typer.Exit(1) from refused
        except KeyboardInterrupt as interrupt:
            note("Stopped.")
            raise typer.Exit(INTERRUPTED) from interrupt


app = typer.Typer(
    cls=Commands,
    help="Palabre: a community whose whole interface is one GraphQL API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show what variables hold, and these hold secrets
)
app.add_typer(users_app, name="users")
import_app = typer.Typer(help="Bring other sites' discussions in, or an archive.", no_args_is_help=True)
app.add_typer(import_app, name="import")


# Commands import what they need when they run: `palabre --help` and a wrong option answer at once.


@app.command()
@takes_settings()
def serve(settings: Settings) -> None:
    """Serve the community until Ctrl-C; the database is made, or brought to this version, first."""
    from graph.commands import serving

    serving.run(settings)


@app.command()
@takes_settings()
def demo(
    settings: Settings,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Do the main job once, in private, and say how it went.")
    ] = False,
) -> None:
    """Serve a sample discussion, in French and in English; it is made the first time."""
    from graph.commands import demo

    demo.check() if check else demo.run(settings)


@app.command()
@takes_settings("database_url")
def migrate(settings: Settings) -> None:
    """Make the database, or bring it to this version; nothing is done twice."""
    from graph.commands.databases import make_ready

    applied = make_ready(settings)
    say("\n".join(applied) if applied else "Nothing to do.")


@app.command("export")
@takes_settings("database_url")
def export(
    settings: Settings,
    *,
    file: Annotated[Path, typer.Argument(help="Where to write the archive; it must not be there yet.")],
    without_secrets: Annotated[
        bool,
        typer.Option("--without-secrets", help="Leave out what lets people in: passwords' hashes, sessions, tokens."),
    ] = False,
) -> None:
    """Write the whole community into one file, which any database takes in; docs/archive.md says how to read it."""
    from graph.commands import archives

    archives.export(settings, file, with_secrets=not without_secrets)


@app.command()
@takes_settings("database_url")
def backup(
    settings: Settings,
    *,
    file: Annotated[Path, typer.Argument(help="Where to write the backup; it must not be there yet.")],
) -> None:
    """Write a copy of the database as of one moment, while the server goes on; `palabre restore` brings it back."""
    from graph.commands import backups

    backups.back_up(settings, file)


@app.command()
@takes_settings("database_url")
def restore(
    settings: Settings,
    *,
    file: Annotated[Path, typer.Argument(help="What `palabre backup` has written, from a database of the same kind.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where there is content: it is kept in a file beside the new one.")
    ] = False,
) -> None:
    """Bring a backup back, into an empty database; who followed the community live is told to read it anew."""
    from graph.commands import backups

    backups.restore(settings, file, replace=replace)


@app.command()
@takes_settings()
def doctor(
    settings: Settings,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    mail: Annotated[bool, typer.Option("--mail", help="Connect to the mail server too; nothing is sent.")] = False,
) -> None:
    """Look whether all is well with the settings, the database and what is around them; nothing is changed."""
    from graph.commands import doctor

    if not doctor.run(settings, as_json=as_json, mail=mail):
        raise typer.Exit(1)


@import_app.command("archive")
@takes_settings("database_url")
def import_archive(
    settings: Settings,
    *,
    file: Annotated[Path, typer.Argument(help="What `palabre export` has written, here or elsewhere.")],
) -> None:
    """Bring a whole community into an empty database: all of it, or nothing."""
    from graph.commands import archives

    archives.bring(settings, file)


@import_app.command("wordpress")
@takes_settings("database_url")
def import_wordpress(
    settings: Settings,
    *,
    file: Annotated[Path, typer.Argument(help="An export of WordPress, made under Tools > Export.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, give the same report.")] = False,
    source: Annotated[
        str | None, typer.Option(help="What to remember the site by; without it, its address in the export.")
    ] = None,
) -> None:
    """Bring in posts, comments and people; run it again to bring in what has come since."""
    from graph.commands import loading

    loading.bring_wordpress(settings, file, source=source, dry_run=dry_run)


@app.command()
@takes_settings("database_url")
def load_sample(
    settings: Settings,
    *,
    comments: Annotated[int, typer.Argument(min=1, max=10_000_000, help="How many.")],
    shape: Annotated[
        Shape, typer.Option(help="mixed: most answer an earlier one; wide: most answer the first; deep: each the last.")
    ] = Shape.MIXED,
    seed: Annotated[int, typer.Option(help="The same seed makes the same discussion.")] = 1,
) -> None:
    """Add a post with made-up comments, to measure with, and print its id."""
    from graph.commands import loading
    from graph.exchange.shapes import TreeShape

    loading.load_sample(settings, comments=comments, shape=TreeShape(shape.value), seed=seed)


@app.command()
@takes_settings("host", "port")
def health(
    settings: Settings,
    *,
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether it can do its work, not only whether it lives.")
    ] = False,
) -> None:
    """Ask the server on this machine how it is; the exit code says it too."""
    from graph.commands.health import ask

    ask(settings, is_ready=ready)


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from graph.schema import schema

    say(schema.as_str())


def main() -> None:
    app(prog_name="palabre")
