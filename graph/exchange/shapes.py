"""Discussions of a stated size and shape, made up: to try a front end on, and to measure with.

The comments go straight to the table, past the log: nobody who follows the post is told of them.
"""

import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

import orjson
import sqlalchemy as sa

from graph.comments import rules
from graph.comments.paths import NUMBERS, mirrored, segment
from graph.posts.rules import Written
from graph.storage.rows import Done, Failed, Outcome, Rows, Work
from graph.storage.tables import comments as comments_table
from graph.storage.tables import posts

GROUP = 2_000  # comments of one statement and one commit: some 60 ms on SQLite, and 1.5 MB of text
BODIES = 500  # different ones: rendering a million would take longer than storing them


class TreeShape(StrEnum):
    MIXED = "mixed"  # three of four comments answer an earlier one, whichever
    WIDE = "wide"  # 95 of 100 answer the first
    DEEP = "deep"  # each answers the one before it, as deep as a thread can be


class Writing(Protocol):
    async def write(self, works: Sequence[Work[Any]]) -> list[Outcome]: ...


@dataclass(frozen=True, slots=True)
class Grown:
    """A tree.  What stands at n is of the nth comment, in order of arrival; index 0 is of the post."""

    parents: "array[int]"  # 0: the post
    depths: "array[int]"  # roots are 0
    reply_counts: "array[int]"
    descendant_counts: "array[int]"


def grown(comments: int, shape: TreeShape, seed: int) -> Grown:
    """Takes some 20 bytes for each comment, and no path: those are made when they are written."""
    choose = random.Random(seed)
    none = array("l", bytes(array("l").itemsize * (comments + 1)))
    parents, depths, replies, descendants = none[:], none[:], none[:], none[:]
    depths[0] = -1
    for number in range(1, comments + 1):
        parent = answered(number, shape, choose)
        if depths[parent] + 1 >= rules.DEPTH_LIMIT:
            parent = 0
        parents[number], depths[number] = parent, depths[parent] + 1
        replies[parent] += 1
    for number in range(comments, 0, -1):
        descendants[parents[number]] += descendants[number] + 1
    return Grown(parents, depths, replies, descendants)


def answered(number: int, shape: TreeShape, choose: random.Random) -> int:
    """Which earlier comment the `number`th answers; 0 is the post."""
    if shape is TreeShape.DEEP:
        return number - 1
    if shape is TreeShape.WIDE:
        return 1 if number > 1 and choose.random() < 0.95 else 0
    return choose.randrange(1, number) if number > 1 and choose.random() < 0.75 else 0


async def load_shape(
    storage: Writing,
    *,
    post_id: int,
    author_ids: Sequence[int],
    comments: int,
    shape: TreeShape,
    begins_at: int,
    ends_at: int,
    seed: int = 1,
    progress: Callable[[int], None] = lambda loaded: None,
) -> None:
    """Add so many comments to a post; those that it has keep their place.

    Times are microseconds; comments arrive evenly between them.  `progress` is told, after each commit, how many
    are there.  The post's counters follow with the last: a load that is cut off leaves a post to be removed.
    Raises LookupError where there is no such post.
    """
    tree = grown(comments, shape, seed)
    first_number, community_id = await done(storage, lambda rows: reserve_numbers(rows, post_id, comments))
    load = Load(tree, first_number, post_id, community_id, author_ids, begins_at, ends_at, bodies(seed), seed)
    ids = array("q", [0])
    for start in range(1, comments + 1, GROUP):
        numbers = range(start, min(start + GROUP, comments + 1))
        ids.extend(await done(storage, partial(load.add, numbers=numbers, ids=ids)))
        progress(numbers[-1])
    await done(storage, lambda rows: count_in_post(rows, post_id, comments, tree.reply_counts[0], ends_at))


async def done(storage: Writing, work: Work[Any]) -> Any:
    """One work in a transaction of its own; what it raises is raised here."""
    (outcome,) = await storage.write([work])
    match outcome:
        case Done(value):
            return value
        case Failed(error):
            raise error


async def reserve_numbers(rows: Rows, post_id: int, comments: int) -> tuple[int, int | None]:
    """The first of the numbers that are now taken, and the post's community."""
    taking = sa.update(posts).where(posts.c.id == post_id).values(last_number=posts.c.last_number + comments)
    found = await rows.rows(taking.returning(posts.c.last_number, posts.c.community_id))
    if not found:
        raise LookupError(f"there is no post {post_id}")
    ((last_number, community_id),) = found
    return last_number - comments + 1, community_id


async def count_in_post(rows: Rows, post_id: int, comments: int, roots: int, at: int) -> None:
    latest = sa.case((posts.c.last_activity_at > at, posts.c.last_activity_at), else_=at)
    await rows.rows(
        sa.update(posts)
        .where(posts.c.id == post_id)
        .values(
            comment_count=posts.c.comment_count + comments,
            root_count=posts.c.root_count + roots,
            last_activity_at=latest,
        )
    )
    if rows.engine == "postgresql":
        # Without statistics, which it gathers a minute later by itself, it reads a whole post for some pages.
        await rows.rows(sa.text("ANALYZE comments"))


@dataclass(frozen=True, slots=True)
class Load:
    """What all groups of a load have in common."""

    tree: Grown
    first_number: int
    post_id: int
    community_id: int | None
    author_ids: Sequence[int]
    begins_at: int
    ends_at: int
    bodies: Sequence[Written]
    seed: int

    async def add(self, rows: Rows, numbers: range, ids: Sequence[int]) -> list[int]:
        """Add some comments, whose elders have the `ids`; gives their own.  May be run again."""
        new_ids = await reserve_ids(rows, len(numbers))
        known = {number: new_ids[number - numbers.start] for number in numbers}
        chance = random.Random(self.seed * NUMBERS + numbers.start)
        values = [self.values(number, known, ids, chance) for number in numbers]
        await rows.rows(insert_statement(rows.engine, orjson.dumps(values).decode()))
        return new_ids

    def values(self, number: int, new_ids: dict[int, int], ids: Sequence[int], chance: random.Random) -> list[Any]:
        """In the order of COLUMNS."""
        tree, parent = self.tree, self.tree.parents[number]
        written = chance.choice(self.bodies)
        stands = [self.first_number + step - 1 for step in self.way(number)]
        return [
            new_ids[number],
            self.post_id,
            self.community_id,
            (new_ids.get(parent) or ids[parent]) if parent else None,
            chance.choice(self.author_ids),
            stands[-1],
            tree.depths[number],
            "".join(map(segment, stands)),
            "".join(segment(mirrored(stand)) for stand in stands),
            "PUBLISHED",
            1,
            written.body,
            written.html,
            written.text,
            self.begins_at + (self.ends_at - self.begins_at) * number // (len(tree.parents) - 1),
            tree.reply_counts[number],
            tree.descendant_counts[number],
        ]

    def way(self, number: int) -> list[int]:
        """From the root down to the comment."""
        way = []
        while number:
            way.append(number)
            number = self.tree.parents[number]
        return way[::-1]


at = comments_table.c
COLUMNS: tuple[sa.Column[Any], ...] = (
    *(at.id, at.post_id, at.community_id, at.parent_id, at.author_id),
    *(at.number, at.depth, at.path, at.rpath, at.status, at.shown),
    *(at.body, at.body_html, at.body_text, at.created_at, at.reply_count, at.descendant_count),
)


def insert_statement(engine: str, values: str) -> sa.Insert:
    """`values`: JSON, for each row a list in the order of COLUMNS.  One argument whatever the number of rows."""
    each: sa.FunctionElement[Any]
    if engine == "postgresql":
        each = sa.func.json_array_elements(sa.cast(sa.literal(values, sa.Text()), sa.JSON()))
    else:
        each = sa.func.json_each(values)
    row = each.table_valued("value").c.value
    fields = (
        sa.cast(row.op("->>")(sa.literal_column(str(place))), column.type) for place, column in enumerate(COLUMNS)
    )
    return sa.insert(comments_table).from_select(list(COLUMNS), sa.select(*fields), include_defaults=False)


async def reserve_ids(rows: Rows, count: int) -> list[int]:
    """Ids that nobody else will take."""
    if rows.engine == "postgresql":
        sequence = sa.func.pg_get_serial_sequence("comments", "id")
        each = sa.func.generate_series(1, count).table_valued("value")
        return [id_ for (id_,) in await rows.rows(sa.select(sa.func.nextval(sequence)).select_from(each))]
    # The only writer until it commits: the next ids are its own.
    ((last,),) = await rows.rows(sa.select(sa.func.coalesce(sa.func.max(comments_table.c.id), 0)))
    return list(range(last + 1, last + count + 1))


def bodies(seed: int) -> list[Written]:
    choose = random.Random(seed)
    return [rules.written(body(choose)) for _ in range(BODIES)]


def body(choose: random.Random) -> str:
    """One to six sentences of one language, in one or two paragraphs."""
    sentences = choose.sample(choose.choice((FRENCH, ENGLISH)), choose.choice((1, 1, 2, 2, 3, 4, 6)))
    if len(sentences) < 4:
        return " ".join(sentences)
    return " ".join(sentences[:2]) + "\n\n" + " ".join(sentences[2:])


FRENCH = (
    "Merci pour ce billet, il met des mots sur ce que nous vivons depuis des mois.",
    "Je ne suis pas d'accord : l'exemple du deuxième paragraphe dit plutôt le contraire.",
    "Chez nous, il a fallu trois essais avant que l'équipe s'y retrouve.",
    "Avez-vous mesuré l'effet sur les nouveaux venus, ou seulement sur les habitués ?",
    "La question du temps me paraît décisive, et presque personne n'en parle.",
    "J'ajouterais une réserve : cela suppose que chacun ait accès aux mêmes documents.",
    "C'est exactement ce que je cherchais, je le partage avec mes collègues.",
    "On confond trop souvent ce qui est urgent et ce qui est important.",
    "Quelqu'un aurait-il un exemple dans une petite association ?",
    "Nous avons fait le choix inverse, et je crois que nous avons eu tort.",
    "Le lien vers l'étude ne répond plus ; en existe-t-il une copie ?",
    "Deux ans plus tard, je confirme : la méthode tient, à condition d'être patient.",
    "Tout dépend de la taille du groupe ; à cinq, la règle n'a plus de sens.",
    "Je retiens surtout la dernière phrase.",
    "Bonne remarque, je corrige le texte dès ce soir.",
)

ENGLISH = (
    "Thank you for writing this up; it is the first clear account I have read.",
    "I tried the same thing last spring and got a rather different result.",
    "Could you say how many people took part, and for how long?",
    "The second figure looks wrong to me: the axis does not begin at zero.",
    "That matches our experience, apart from the part about weekends.",
    "It works until somebody leaves, and then nobody knows why it was built that way.",
    "I would rather start small and see what breaks.",
    "There is an older paper on this that deserves to be better known.",
    "We wrote our notes down as we went along, and that alone was worth the effort.",
    "Is there a reason not to publish the raw numbers as well?",
    "Agreed, and I would go further: the rule should be the other way round.",
    "This answers my question, thanks.",
    "I have changed my mind since; the comments below convinced me.",
    "What happens when two people edit it at the same time?",
    "Nobody asked the readers, which is a pity.",
)
