"""Answering: one act, one input, one payload each."""

from typing import Annotated

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.change import Action, Change
from graph.comments import actions, rules
from graph.comments.positions import ThreadPosition, load_positions
from graph.comments.types import Comment
from graph.context import Info, carry_out, prepare_and_carry_out
from graph.errors import UserError
from graph.execution.fields import batched, value
from graph.ids import global_id
from graph.nodes import one
from graph.posts.rules import REASON_LIMIT
from graph.posts.types import Post
from graph.scalars import Markdown


@strawberry.input(description="Input of `addComment`.")
class AddCommentInput:
    post_id: strawberry.ID = strawberry.field(description="What is discussed.")
    parent_id: strawberry.ID | None = strawberry.field(
        default=None, description="The comment that is answered; null: the post itself."
    )
    body: Markdown = strawberry.field(description=f"At most {rules.BODY_LIMIT} characters.")
    client_mutation_id: str | None = key_given()


@strawberry.input(description="Input of `editComment`.")
class EditCommentInput:
    id: strawberry.ID = strawberry.field(description="The comment.")
    body: Markdown = strawberry.field(description=f"The new text, at most {rules.BODY_LIMIT} characters.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The `revision` that the editor saw: a ConflictError when it is another by now."
    )
    reason: str | None = strawberry.field(
        default=None, description=f"Why, for those who read former texts; at most {REASON_LIMIT} characters."
    )
    client_mutation_id: str | None = key_given()


@strawberry.input(description="Input of `deleteComment`.")
class DeleteCommentInput:
    id: strawberry.ID = strawberry.field(description="The comment.")
    client_mutation_id: str | None = key_given()


@strawberry.type(description="Result of `addComment`; its objects are null exactly when `errors` is not empty.")
class AddCommentPayload:
    comment_key: strawberry.Private[int | None]
    post_key: strawberry.Private[int | None]
    log_position: strawberry.Private[int | None] = None
    comment: Comment | None = one("comment_key", lambda: Comment, description="The new comment.")
    post: Post | None = one("post_key", lambda: Post, description="The post, with its counts as they are now.")
    position: ThreadPosition | None = batched(
        "comment_key", "log_position", load=load_positions, description="Where it goes in the list on screen."
    )
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


@strawberry.type(description="Result of `editComment`; `comment` is null exactly when `errors` is not empty.")
class EditCommentPayload:
    comment_key: strawberry.Private[int | None]
    comment: Comment | None = one("comment_key", lambda: Comment, description="The comment as it is now.")
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


def _deleted_id(comment_key: int | None) -> strawberry.ID | None:
    return None if comment_key is None else strawberry.ID(global_id("Comment", comment_key))


@strawberry.type(description="Result of `deleteComment`.")
class DeleteCommentPayload:
    comment_key: strawberry.Private[int | None]
    comment: Comment | None = one(
        "comment_key", lambda: Comment, description="The tombstone that stands for its replies; null where none does."
    )
    deleted_id: strawberry.ID | None = value(
        "comment_key", through=_deleted_id, description="What was deleted; null when it was refused."
    )
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


async def add_comment(info: Info, input: Annotated[AddCommentInput, INPUT]) -> AddCommentPayload:
    async def prepare() -> Action[list[int]]:
        written = rules.written(input.body)
        post_id = key_in_input("postId", input.post_id, "Post")
        parent_id = None if input.parent_id is None else key_in_input("parentId", input.parent_id, "Comment")

        async def act(change: Change) -> list[int]:
            comment_id = await actions.add_comment(change, post_id=post_id, parent_id=parent_id, written=written)
            return [comment_id, post_id]

        return act

    done = await prepare_and_carry_out(info, "addComment", input, prepare)
    comment_key, post_key = done.value or (None, None)
    return AddCommentPayload(
        comment_key=comment_key,
        post_key=post_key,
        client_mutation_id=input.client_mutation_id,
        errors=done.errors,
    )


async def edit_comment(info: Info, input: Annotated[EditCommentInput, INPUT]) -> EditCommentPayload:
    async def prepare() -> Action[int]:
        written = rules.written(input.body)
        comment_id = key_in_input("id", input.id, "Comment")
        return lambda change: actions.edit_comment(
            change,
            comment_id=comment_id,
            written=written,
            expected_revision=input.expected_revision,
            reason=input.reason,
        )

    done = await prepare_and_carry_out(info, "editComment", input, prepare)
    return EditCommentPayload(comment_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


async def delete_comment(info: Info, input: Annotated[DeleteCommentInput, INPUT]) -> DeleteCommentPayload:
    done = await carry_out(
        info,
        "deleteComment",
        input,
        lambda change: actions.delete_comment(change, comment_id=key_in_input("id", input.id, "Comment")),
    )
    return DeleteCommentPayload(comment_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


@strawberry.type
class CommentMutations:
    add_comment: AddCommentPayload = strawberry.mutation(
        resolver=add_comment, description="Answer a post or a comment."
    )
    edit_comment: EditCommentPayload = strawberry.mutation(
        resolver=edit_comment, description="Change a comment; the former text stays as a revision."
    )
    delete_comment: DeleteCommentPayload = strawberry.mutation(
        resolver=delete_comment,
        description="Erase a comment: with replies a tombstone keeps its place, without it leaves the tree.",
    )
