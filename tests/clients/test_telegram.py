"""The Telegram notifier against a stand-in of the Bot API."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import httpx
import pytest

from ats_client.messages import Decision
from schemas.codec import encode
from schemas.market import Action
from telegram_notifier import Notifier, Telegram, TelegramRefused
from tests.ats.factories import a_decision

CHAT = 77
TOKEN = "1:secret"
COMMANDS = {"counts": "how many decisions since the start"}


class BotApi:
    """Answers as Telegram does; `script` holds answers that come before the usual ones."""

    def __init__(self, *script: httpx.Response | Exception) -> None:
        self.script = deque(script)
        self.sent: list[str] = []
        self.commands: list[dict[str, str]] = []
        self.updates: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.script:
            answer = self.script.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer
        token, method = request.url.path.removeprefix("/bot").split("/")
        if token != TOKEN:
            return refusal(401, "Unauthorized")
        return ok(self.result(method, json.loads(request.content)))

    def result(self, method: str, body: dict[str, Any]) -> object:
        match method:
            case "getMe":
                return {"username": "ats_bot"}
            case "setMyCommands":
                self.commands = body["commands"]
                return True
            case "sendMessage":
                assert body["chat_id"] == CHAT
                self.sent.append(body["text"])
                return {"message_id": len(self.sent)}
            case "getUpdates":
                return [each for each in self.updates if each["update_id"] >= body["offset"]]
        raise ValueError(method)

    def says(self, text: str, chat: int = CHAT) -> None:
        """Somebody writes in a chat."""
        message = {"chat": {"id": chat}, "text": text}
        self.updates.append({"update_id": len(self.updates) + 1, "message": message})


def ok(result: object) -> httpx.Response:
    return httpx.Response(200, json={"ok": True, "result": result})


def refusal(status: int, says: str, **parameters: int) -> httpx.Response:
    body = {"ok": False, "error_code": status, "description": says, "parameters": parameters}
    return httpx.Response(status, json=body)


def a_bot(api: BotApi, token: str = TOKEN) -> Telegram:
    return Telegram(httpx.AsyncClient(transport=httpx.MockTransport(api)), token, "http://api")


def decided(action: Action) -> Decision:
    return Decision.model_validate_json(encode(a_decision(action=action)))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds it would have waited between tries."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


async def test_what_is_to_be_done_is_told_and_the_counts_are_answered() -> None:
    api = BotApi()
    bot = a_bot(api)
    notifier = Notifier(bot, CHAT)

    for action in (Action.BUY, Action.HOLD, Action.HOLD):
        await notifier.tell(decided(action))
    api.says("/counts")
    api.says("/counts", chat=1)  # a stranger's
    await notifier.answer()
    await notifier.answer()  # nothing new was said

    assert api.sent == ["BUY TCS at ₹3,000.00\nthe trend is up", "BUY 1, HOLD 2"]


async def test_the_bot_knows_its_name_and_offers_its_commands() -> None:
    api = BotApi()

    await a_bot(api).set_my_commands(COMMANDS)

    assert await a_bot(api).get_me() == "ats_bot"
    assert api.commands == [{"command": "counts", "description": COMMANDS["counts"]}]


async def test_a_busy_telegram_is_asked_again_as_late_as_it_says(pauses: list[float]) -> None:
    busy = refusal(429, "Too Many Requests: retry after 7", retry_after=7)
    api = BotApi(busy, httpx.ConnectError("away"), httpx.Response(502, text="<html>"))

    await a_bot(api).send_message(CHAT, "hello")

    assert api.sent == ["hello"]
    assert pauses == [7.0, 2.0, 4.0]


async def test_tries_and_pauses_are_bounded(pauses: list[float]) -> None:
    api = BotApi(*(refusal(429, "slow down", retry_after=9_999) for _ in range(5)))

    with pytest.raises(TelegramRefused, match="sendMessage: no answer in 5 tries"):
        await a_bot(api).send_message(CHAT, "hello")

    assert pauses == [60.0] * 4


async def test_a_wrong_token_is_refused_in_telegram_s_words_without_the_token(
    pauses: list[float],
) -> None:
    with pytest.raises(TelegramRefused, match="getMe: Unauthorized") as refused:
        await a_bot(BotApi(), token="2:wrong").get_me()

    assert "wrong" not in str(refused.value)
    assert pauses == []
