"""Tells a Telegram chat of each BUY and SELL, and answers /counts with how many there were.

    TELEGRAM_TOKEN=… python telegram_notifier.py KAFKA CHAT_ID

Four methods of the Bot API over httpx. Tries are bounded; the token stands in the address, so no
error and no log line names that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from typing import Any

import httpx

from ats_client import Reader
from ats_client.messages import Action, Decision

API = "https://api.telegram.org"
TRIES = 5
LONGEST_PAUSE = 60.0  # seconds; Telegram says how long to wait when it is asked too often
LISTEN = 30  # seconds that one question for new words waits at Telegram


class TelegramRefused(RuntimeError):
    """Telegram did not do what it was asked, in its own words."""


class Telegram:
    """A bot. `base` is `https://api.telegram.org`, or a stand-in's address."""

    def __init__(self, client: httpx.AsyncClient, token: str, base: str = API) -> None:
        self._client = client
        self._url = f"{base}/bot{token}"
        self._next = 0  # the update that was not seen yet

    async def get_me(self) -> str:
        """The bot's own name; fails where the token is wrong."""
        return str((await self._call("getMe"))["username"])

    async def set_my_commands(self, commands: dict[str, str]) -> None:
        """What the chat offers its people, each with what it does."""
        listed = [{"command": name, "description": says} for name, says in commands.items()]
        await self._call("setMyCommands", commands=listed)

    async def send_message(self, chat: int, text: str) -> None:
        """Say something; Telegram takes 4,096 characters."""
        await self._call("sendMessage", chat_id=chat, text=text[:4096])

    async def get_updates(self, chat: int, listen: int = LISTEN) -> list[str]:
        """What was said in the chat since, waiting for it; words in other chats are passed over."""
        found = await self._call("getUpdates", offset=self._next, timeout=listen)
        self._next = max([self._next, *(each["update_id"] + 1 for each in found)])
        messages = (each.get("message", {}) for each in found)
        return [each.get("text", "") for each in messages if each.get("chat", {}).get("id") == chat]

    async def _call(self, method: str, **body: Any) -> Any:
        pause = 0.0
        for nth in range(TRIES):
            await asyncio.sleep(pause)
            try:
                response = await self._client.post(f"{self._url}/{method}", json=body)
                answer = response.json()
            except (httpx.TransportError, ValueError):  # nobody, or no JSON: a proxy's page
                pause = 2.0**nth
                continue
            if answer.get("ok"):
                return answer["result"]
            if response.status_code != 429 and response.status_code < 500:
                raise TelegramRefused(f"{method}: {answer.get('description')}")
            asked = answer.get("parameters", {}).get("retry_after", 2.0**nth)
            pause = min(LONGEST_PAUSE, float(asked))
        raise TelegramRefused(f"{method}: no answer in {TRIES} tries") from None


class Notifier:
    """What was decided, told and counted."""

    def __init__(self, telegram: Telegram, chat: int) -> None:
        self._telegram = telegram
        self._chat = chat
        self._counts: Counter[str] = Counter()

    async def tell(self, decision: Decision) -> None:
        """Count a decision, and say it where something is to be done."""
        self._counts[decision.action.value] += 1
        if decision.action is not Action.HOLD:
            price = f"{decision.reference_price / 100:,.2f}"
            said = f"{decision.action} {decision.symbol} at ₹{price}\n{decision.reasoning}"
            await self._telegram.send_message(self._chat, said)

    async def answer(self, listen: int = LISTEN) -> None:
        """Answer what is asked, once."""
        for text in await self._telegram.get_updates(self._chat, listen):
            if text.strip() == "/counts":
                counted = ", ".join(
                    f"{name} {count}" for name, count in sorted(self._counts.items())
                )
                await self._telegram.send_message(self._chat, counted or "nothing yet")


async def main(kafka: str, chat: str) -> None:
    """Run until it is stopped."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log addresses
    async with httpx.AsyncClient(timeout=LISTEN + 10) as client:
        telegram = Telegram(client, os.environ["TELEGRAM_TOKEN"])
        notifier = Notifier(telegram, int(chat))
        print(f"telling as @{await telegram.get_me()}")
        await telegram.set_my_commands({"counts": "how many decisions since the start"})
        async with asyncio.TaskGroup() as group, Reader(kafka, Decision) as decisions:
            group.create_task(_answer(notifier))
            async for decision in decisions:
                await notifier.tell(decision)


async def _answer(notifier: Notifier) -> None:
    while True:
        await notifier.answer()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
