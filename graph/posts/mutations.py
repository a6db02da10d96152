"""Writing posts: one act, one input, one payload each."""

from typing import Annotated

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.change import Action
from graph.context import Info, carry_out, prepare_and_carry_out
from graph.errors import UserError
from graph.nodes import global_id_or_none, one
from graph.posts import actions, rules
from graph.posts.types import Post, PostKind
from graph.scalars import Markdown


@strawberry.input(description="Input of `createPost`.")
class CreatePostInput:
    kind: PostKind = strawberry.field(description="What it is.")
    title: str = strawberry.field(description=f"Plain text, at most {rules.TITLE_LIMIT} characters.")
    body: Markdown = strawberry.field(description=f"At most {rules.BODY_LIMIT} characters.")
    summary: str | None = strawberry.field(
        default=None, description=f"What it is about; at most {rules.SUMMARY_LIMIT} characters."
    )
    language: str | None = strawberry.field(default=None, description="Language tag, such as fr or en-GB.")
    community_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where to publish it; null: on the site itself."
    )
    publish: bool = strawberry.field(default=True, description="False keeps it as a draft, for its author alone.")
    client_mutation_id: str | None = key_given()


@strawberry.input(description="Input of `editPost`.  What is left out stays as it is.")
class EditPostInput:
    id: strawberry.ID = strawberry.field(description="The post.")
    title: str | None = strawberry.field(default=None, description="The new title.")
    body: Markdown | None = strawberry.field(default=None, description="The new text.")
    summary: str | None = strawberry.field(
        default=None, description="The new summary; nothing but space takes it away."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The `revision` that the editor saw: a ConflictError when it is another by now."
    )
    reason: str | None = strawberry.field(
        default=None,
        description=f"Why, for those who read former texts; at most {rules.REASON_LIMIT} characters.",
    )
    client_mutation_id: str | None = key_given()


@strawberry.input(description="Names the post for `publishPost`, `unpublishPost` and `deletePost`.")
class PostInput:
    id: strawberry.ID = strawberry.field(description="The post.")
    client_mutation_id: str | None = key_given()


@strawberry.type(description="What came of an act on a post; `post` is null exactly when `errors` is not empty.")
class PostPayload:
    post_key: strawberry.Private[int | None]
    post: Post | None = one("post_key", lambda: Post, description="The post as it is now.")
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


@strawberry.type(description="What came of deleting a post.")
class DeletePostPayload:
    post_key: strawberry.Private[int | None]
    deleted_id: strawberry.ID | None = global_id_or_none(
        "Post", "post_key", "The id that is now nobody's; null when it was refused."
    )
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


async def create_post(info: Info, input: Annotated[CreatePostInput, INPUT]) -> PostPayload:
    async def prepare() -> Action[int]:
        written = rules.written(input.body)
        community_id = (
            None if input.community_id is None else key_in_input("communityId", input.community_id, "Community")
        )
        return lambda change: actions.create_post(
            change,
            title=input.title,
            written=written,
            kind=input.kind.name,
            summary=input.summary,
            language=input.language,
            community_id=community_id,
            publish=input.publish,
        )

    done = await prepare_and_carry_out(info, "createPost", input, prepare)
    return PostPayload(post_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


async def edit_post(info: Info, input: Annotated[EditPostInput, INPUT]) -> PostPayload:
    async def prepare() -> Action[int]:
        written = None if input.body is None else rules.written(input.body)
        post_id = key_in_input("id", input.id, "Post")
        return lambda change: actions.edit_post(
            change,
            post_id=post_id,
            title=input.title,
            written=written,
            summary=input.summary,
            expected_revision=input.expected_revision,
            reason=input.reason,
        )

    done = await prepare_and_carry_out(info, "editPost", input, prepare)
    return PostPayload(post_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


async def publish_post(info: Info, input: Annotated[PostInput, INPUT]) -> PostPayload:
    done = await carry_out(
        info,
        "publishPost",
        input,
        lambda change: actions.publish_post(change, post_id=key_in_input("id", input.id, "Post")),
    )
    return PostPayload(post_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


async def unpublish_post(info: Info, input: Annotated[PostInput, INPUT]) -> PostPayload:
    done = await carry_out(
        info,
        "unpublishPost",
        input,
        lambda change: actions.unpublish_post(change, post_id=key_in_input("id", input.id, "Post")),
    )
    return PostPayload(post_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


async def delete_post(info: Info, input: Annotated[PostInput, INPUT]) -> DeletePostPayload:
    done = await carry_out(
        info,
        "deletePost",
        input,
        lambda change: actions.delete_post(change, post_id=key_in_input("id", input.id, "Post")),
    )
    return DeletePostPayload(post_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


@strawberry.type
class PostMutations:
    create_post: PostPayload = strawberry.mutation(
        resolver=create_post, description="Write a post, published or as a draft."
    )
    edit_post: PostPayload = strawberry.mutation(
        resolver=edit_post, description="Change a post; the former text stays as a revision."
    )
    publish_post: PostPayload = strawberry.mutation(resolver=publish_post, description="Show a draft to readers.")
    unpublish_post: PostPayload = strawberry.mutation(resolver=unpublish_post, description="Back to a draft.")
    delete_post: DeletePostPayload = strawberry.mutation(
        resolver=delete_post, description="Take a post and its discussion away, and erase its text."
    )
