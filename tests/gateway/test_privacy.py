"""User A sees not a byte of user B's: every route, every parameter, every event, every field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from ats.gateway.board import FOLLOWED
from ats.gateway.console import DhanAccount
from ats.gateway.openapi import EVENTS
from ats.gateway.routes import ROUTES, Route
from schemas.ids import UserId
from schemas.messages import (
    Approval,
    ApprovalState,
    Decision,
    Execution,
    FanOut,
    Message,
    OrderEvent,
    OrderIntent,
)
from schemas.topics import FANOUTS
from tests.gateway.filled import INSTRUMENT, NOW, Marks, filled
from tests.gateway.gate import ASHA, BIMAL, SECRET, Gate, StoredRecords, Stream, gate, token_of

PERSONAL: Final = [
    topic.message for topic in FOLLOWED if topic.message and "user_id" in topic.message.model_fields
]
# What a stranger may try besides what the routes take.
NAMES: Final = ("user_id", "user", "sub", "id", "account", "order", "access_token", "token", "role")


def all_of(user: UserId, marks: Marks) -> list[Message]:
    """One message of every personal topic and kind, every field filled."""
    made: list[Message] = []
    for model in PERSONAL:
        parts: list[dict[str, Any]] = [{}]
        if model is OrderEvent:
            kinds = ("order", "fill", "book")
            parts = [dict.fromkeys({*kinds} - {kind}) for kind in kinds]
        if model is Execution:
            (intent,) = [each for each in made if isinstance(each, OrderIntent)]
            parts = [{"order_id": str(intent.id)}]
        made += [filled(model, marks, user_id=str(user), **fixed) for fixed in parts]
    return made


def links(messages: list[Message]) -> list[Message]:
    """The public decision behind the order among `messages`: both users may read it."""
    (intent,) = [each for each in messages if isinstance(each, OrderIntent)]
    public = Marks(f"public{intent.user_id.hex[:4]}", 9_000_000_000)
    return [filled(Decision, public, id=str(intent.decision_id))]


def fan_outs(messages: list[Message], marks: Marks) -> list[Message]:
    """Who else was given an order of the decision behind the one among `messages`, and who not."""
    (intent,) = [each for each in messages if isinstance(each, OrderIntent)]
    made = filled(FanOut, marks, decision_id=str(intent.decision_id))
    public: dict[str, Any] = {"instrument": intent.instrument}
    public["approval"] = Approval(state=ApprovalState.WAITING, until=NOW)
    return [made.model_copy(update=public)]


def traces(marks: Marks, *heard: bytes) -> list[str]:
    """Which of the marks stand in what was heard."""
    whole = b"\n".join(heard)
    return sorted(each for each in marks.used if each.encode() in whole)


def questions(route: Route, foreign: list[str]) -> Iterator[str]:
    """Every address of a route that a stranger may try with what they know of somebody else."""
    values = [INSTRUMENT, *foreign]
    in_path = [each for each in route.parameters if each.where == "path"]
    paths = [route.path]
    for each in in_path:
        paths = [path.replace(f"{{{each.name}}}", value) for path in paths for value in values]
    in_query = [each.name for each in route.parameters if each.where == "query"]
    yield from paths
    for name in (*in_query, *NAMES):
        yield from (f"{paths[0]}?{name}={value}" for value in values)


@pytest.fixture
async def crowded() -> Any:
    """A gateway that was told everything of two users, and a record that holds it, and more."""
    asha, bimal = Marks("asha", 7_000_000_000), Marks("bimal", 8_000_000_000)
    theirs, hers = all_of(BIMAL, bimal), all_of(ASHA, asha)
    told = [*links(theirs), *links(hers), *theirs, *hers]
    async with gate(record=StoredRecords(*told, *fan_outs(hers, bimal))) as made:
        bimal.used.add(str(BIMAL))
        made.tell(*told, *fan_outs(hers, bimal))
        yield made, asha, bimal


async def everything(made: Gate, who: UserId, foreign: list[str]) -> list[bytes]:
    heard: list[bytes] = []
    for route in ROUTES:
        if route.name == "stream":
            continue
        for path in questions(route, foreign):
            made.server._requests._left.clear()  # the budget of questions has tests of its own
            _, body, headers = await made.get(path, who)
            heard += [body, repr(headers).encode()]
    return heard


async def test_no_route_and_no_parameter_tells_a_user_of_another(crowded: Any) -> None:
    made, asha, bimal = crowded
    public = {str(decision.id) for decision in made.board.market.view(()).decisions}
    orders = [str(each) for each in made.board.person(BIMAL).state._asked]
    foreign = [*sorted(bimal.used)[::40], str(BIMAL), *public, *orders]

    heard = await everything(made, ASHA, foreign)

    bimal.used -= public
    assert traces(bimal, *heard) == []
    assert len(traces(asha, *heard)) > 70, "the fold shows her what is hers"


async def test_no_operators_route_tells_who_is_none_anything_by_any_parameter(
    crowded: Any,
) -> None:
    made, asha, bimal = crowded
    made.office.operators = frozenset({BIMAL})
    named = {"email": "bimal-alone@example.org", "dhan_client_id": "1188888888"}
    made.office.accounts = (
        DhanAccount(user_id=BIMAL, switched_on=True, token_until=None, **named),
    )
    bimal.used |= set(named.values())
    foreign = [*sorted(bimal.used)[::40], str(BIMAL), str(ASHA)]
    routes = [route for route in ROUTES if route.operator]
    paths = [path for route in routes for path in questions(route, foreign)]
    heard = list[bytes]()
    for path in paths:
        made.server._requests._left.clear()
        status, body, headers = await made.get(path, ASHA)
        assert status in {400, 404}, path
        heard += [body, repr(headers).encode()]

    assert len(paths) > 100
    assert traces(bimal, *heard) == traces(asha, *heard) == []


async def test_an_operator_is_the_one_exception_and_a_removed_one_is_none(crowded: Any) -> None:
    made, _, bimal = crowded
    path = f"/v1/operator/users/{BIMAL}"
    made.office.operators = frozenset({ASHA})

    _, shown, _ = await made.get(path, ASHA)
    made.office.operators = frozenset()
    status, refused, _ = await made.get(path, ASHA)

    assert len(traces(bimal, shown)) > 40
    assert (status, traces(bimal, refused)) == (404, [])


async def test_no_event_tells_a_user_of_another_live_or_resumed_by_the_others_id(
    crowded: Any,
) -> None:
    made, asha, bimal = crowded
    public = {str(decision.id) for decision in made.board.market.view(()).decisions}
    async with made.stream(BIMAL) as his, made.stream(ASHA) as hers:
        await his.until("snapshot")
        await hers.until("snapshot")
        made.tell(*all_of(BIMAL, bimal), *all_of(ASHA, asha))
        await his.until("exit")
        await hers.until("exit")
        foreign_ids = [his.last_id, f"{made.board.epoch}.0.0", f"{made.board.epoch}.0.999"]
        heard = [bytes(hers.raw)]
    for last in foreign_ids:
        async with made.stream(ASHA, headers={"Last-Event-ID": last}) as resumed:
            made.tell(*all_of(ASHA, asha))
            await resumed.until("exit")
            heard.append(bytes(resumed.raw))

    bimal.used -= public
    assert traces(bimal, *heard) == []
    assert len(traces(asha, *heard)) > 70


async def test_every_personal_event_is_heard_by_its_user(crowded: Any) -> None:
    made, _, bimal = crowded
    names = set[str]()
    async with made.stream(BIMAL) as his:
        await his.until("snapshot")
        made.tell(*all_of(BIMAL, bimal))
        names = await names_until(his, "exit")

    personal = {"session", "preflight", "order", "broker_order", "trade", "position", "exit"}
    assert names >= personal
    assert personal <= set(EVENTS)


async def names_until(stream: Stream, last: str) -> set[str]:
    names = set[str]()
    while last not in names:
        event = await stream.next()
        assert event
        names.add(event.name)
    return names


async def test_no_token_stands_in_any_answer_header_or_log(
    crowded: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    made, _, _ = crowded
    token = token_of(ASHA)
    heard: list[bytes] = []
    for route in ROUTES:
        for path in [*questions(route, [token]), f"{route.path}/{token}"]:
            made.server._requests._left.clear()
            if route.name == "stream" and "token" not in path:
                continue
            _, body, headers = await made.get(path)
            heard += [body, repr(headers).encode()]
            status, body, headers = await made.get(path, None, {"Authorization": f"Basic {token}"})
            assert status != 200 or route.open
            heard += [body, repr(headers).encode()]
    async with made.stream(ASHA) as stream:
        await stream.until("snapshot")
        heard.append(bytes(stream.raw))

    said = b"\n".join([*heard, caplog.text.encode(), *map(str.encode, capsys.readouterr())])
    for secret in (token, *token.split(".")[1:], SECRET):
        assert secret.encode() not in said


def test_every_topic_that_names_a_user_is_personal_or_not_followed() -> None:
    named = {
        topic.name
        for topic in FOLLOWED
        if topic.message and "user_id" in str(topic.message.model_json_schema())
    }

    # of a fan-out only the approval is kept; `crowded` is told of one that names others
    assert named - {FANOUTS.name} == {topic.name for topic in FOLLOWED if topic.message in PERSONAL}
