"""The command line: every command, its options, and how what goes wrong is told.

0  it was done        1  it could not be done, standard error says why
2  it was asked in the wrong way: an option or a setting that cannot be used
"""

import asyncio
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from graph.commands.console import note, say
from graph.commands.failures import Failure
from graph.commands.options import takes_settings
from graph.refusals import Refusal
from graph.settings import Settings, WrongSettings

INTERRUPTED = 130  # what shells expect of a command that Ctrl-C has ended before it was done


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
users_app = typer.Typer(help="Accounts, made by the operator.", no_args_is_help=True)
app.add_typer(users_app, name="users")

Handle = Annotated[str, typer.Argument(help="The person's handle.")]


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


@users_app.command("create")
@takes_settings("database_url")
def create_user(
    settings: Settings,
    *,
    handle: Handle,
    admin: Annotated[bool, typer.Option("--admin", help="Let them moderate everything.")] = False,
) -> None:
    """Make an account, without a password: `palabre users token` lets them in."""
    from graph.commands import databases, people

    databases.make_ready(settings)
    asyncio.run(people.create_user(settings, handle, is_admin=admin))
    note(f"@{handle} is there.")


@users_app.command("token")
@takes_settings("database_url")
def create_token(
    settings: Settings,
    *,
    handle: Handle,
    name: Annotated[str, typer.Option(help="What the token is for.")] = "command line",
) -> None:
    """Make an API token and print it, and nothing else; it is never shown again."""
    from graph.commands import databases, people

    databases.make_ready(settings)
    say(asyncio.run(people.new_token(settings, handle, name)))


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from graph.schema import schema

    say(schema.as_str())


def main() -> None:
    app(prog_name="palabre")
