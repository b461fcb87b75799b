"""Dhan's consent for API keys: a key asks for consent, the user logs in, the key turns the token id into a token.

Ids count up from the seed, so a test can name them; nothing here is a secret worth guarding.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from yarl import URL

from schemas.units import IST
from simulator.accounts import Accounts
from simulator.config import RegisteredApp
from simulator.refusals import BAD_TOKEN, Code, Refusal

PER_DAY: Final = 25  # consents a day, Dhan's limit
_UNKNOWN_CONSENT: Final = Refusal(Code.INPUT, "Missing required fields, bad values for parameters etc. (consent)")
_TOO_MANY: Final = Refusal(Code.RATE_LIMIT, "Too many consents for this user today")
_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulated Dhan login</title></head>
<body><h1>Simulated Dhan</h1><p>Allow the app <b>{app}</b> to use the account <b>{client}</b>?</p>
<form method="post"><button type="submit">Log in and allow</button></form></body></html>"""


@dataclass(slots=True)
class _Consent:
    app: RegisteredApp
    client_id: str
    token_id: str | None = None


class ConsentDesk:
    """The handlers under `/auth`."""

    def __init__(self, accounts: Accounts, apps: Iterable[RegisteredApp], seed: int) -> None:
        self._accounts = accounts
        self._apps = {app.app_id: app for app in apps}
        self._seed = seed
        self._consents: dict[str, _Consent] = {}
        self._made = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/auth/app/generate-consent", self.generate),
            web.get("/auth/login/consentApp-login", self.page),
            web.post("/auth/login/consentApp-login", self.log_in),
            web.get("/auth/app/consumeApp-consent", self.consume),
            web.post("/auth/app/consumeApp-consent", self.consume),
        ]

    async def generate(self, request: web.Request) -> web.Response:
        app, client_id = self._app(request), request.query.get("client_id", "")
        if app is None or self._accounts.get(client_id) is None:
            return BAD_TOKEN.reply()
        if sum(consent.client_id == client_id for consent in self._consents.values()) >= PER_DAY:
            return _TOO_MANY.reply()
        consent_id = self._next_id("consent")
        self._consents[consent_id] = _Consent(app, client_id)
        return web.json_response({"consentAppId": consent_id, "consentAppStatus": "GENERATED", "status": "success"})

    async def page(self, request: web.Request) -> web.Response:
        consent = self._consents.get(request.query.get("consentAppId", ""))
        if consent is None:
            return _UNKNOWN_CONSENT.reply()
        page = _PAGE.format(app=html.escape(consent.app.app_id), client=html.escape(consent.client_id))
        return web.Response(text=page, content_type="text/html")

    async def log_in(self, request: web.Request) -> web.Response:
        """The user agrees: back to the key's redirect URL with a token id."""
        consent = self._consents.get(request.query.get("consentAppId", ""))
        if consent is None:
            return _UNKNOWN_CONSENT.reply()
        consent.token_id = self._next_id("token")
        back = URL(consent.app.redirect_url).update_query(tokenId=consent.token_id)
        return web.Response(status=302, headers={"Location": str(back)})

    async def consume(self, request: web.Request) -> web.Response:
        """Turn a token id into a token, once."""
        app, token_id = self._app(request), request.query.get("tokenId", "")
        for consent in self._consents.values():
            if app and token_id and consent.token_id == token_id and consent.app == app:
                consent.token_id = None
                return self._token(consent.client_id)
        return BAD_TOKEN.reply()

    def _token(self, client_id: str) -> web.Response:
        user = self._accounts.mint(client_id)
        assert user.expires_at is not None, "mint() gives every token an end"
        return web.json_response(
            {
                "dhanClientId": user.client_id,
                "dhanClientName": user.name,
                "dhanClientUcc": f"UCC{user.client_id}",
                "givenPowerOfAttorney": True,
                "accessToken": user.token,
                "expiryTime": f"{user.expires_at.astimezone(IST):%Y-%m-%dT%H:%M:%S}",
            }
        )

    def _app(self, request: web.Request) -> RegisteredApp | None:
        app = self._apps.get(request.headers.get("app_id", ""))
        return app if app and app.app_secret == request.headers.get("app_secret") else None

    def _next_id(self, kind: str) -> str:
        self._made += 1
        digest = hashlib.sha256(f"{self._seed}|{kind}|{self._made}".encode()).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
