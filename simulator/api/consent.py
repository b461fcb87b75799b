"""Dhan's ways to a token: consent for API keys, consent for partners, PIN with one-time password,
renewal.

Ids count up from the seed, so a test can name them; nothing here is a secret worth guarding.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from aiohttp import web
from yarl import URL

from schemas.units import IST
from simulator import totp
from simulator.accounts import Accounts, Origin
from simulator.api.login_page import login_page
from simulator.api.replies import refuse
from simulator.config import RegisteredApp, RegisteredPartner, SimulatedUser, SimulatorConfig
from simulator.refusals import BAD_TOKEN, Code, Refusal

_UNKNOWN_CONSENT: Final = Refusal(
    Code.INPUT, "Missing required fields, bad values for parameters etc. (consent)"
)
_TOO_MANY: Final = Refusal(Code.RATE_LIMIT, "Too many consents for this user today")
_NOT_RENEWABLE: Final = Refusal(
    Code.INPUT, "Missing required fields, bad values for parameters etc."
)

Asker = RegisteredApp | RegisteredPartner


@dataclass(slots=True)
class _Consent:
    """`client_id` is empty until a partner's user has logged in."""

    asker: Asker
    client_id: str
    day: date
    token_id: str = field(default="")


class ConsentApi:
    """The handlers under `/auth`, and `/v2/RenewToken`.

    `now` gives the wall clock with a time zone.
    """

    def __init__(
        self, accounts: Accounts, config: SimulatorConfig, now: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._config = config
        self._now = now
        self._apps = {app.app_id: app for app in config.apps}
        self._partners = {partner.partner_id: partner for partner in config.partners}
        self._consents: dict[str, _Consent] = {}
        self._minted_at: dict[str, datetime] = {}
        self._made = 0

    def routes(self) -> list[web.RouteDef]:
        """The paths of login, for apps and for partners, and of token renewal."""
        either = (web.get, web.post)  # Dhan's documents disagree about the verbs
        return [
            web.post("/auth/app/generate-consent", self.generate),
            web.get("/auth/login/consentApp-login", self.page),
            web.post("/auth/login/consentApp-login", self.log_in),
            *(verb("/auth/app/consumeApp-consent", self.consume) for verb in either),
            *(verb("/auth/partner/generate-consent", self.generate_partner) for verb in either),
            web.get("/auth/consent-login", self.page),
            web.post("/auth/consent-login", self.log_in),
            *(verb("/auth/partner/consume-consent", self.consume_partner) for verb in either),
            web.post("/auth/app/generateAccessToken", self.generate_token),
            web.get("/v2/RenewToken", self.renew),
            web.post("/v2/RenewToken", self.renew_by_post),
        ]

    async def generate(self, request: web.Request) -> web.Response:
        """Answer the first step of an app: open a consent for the client it names."""
        app, client_id = self._app(request), request.query.get("client_id", "")
        if app is None or self._accounts.get(client_id) is None:
            return refuse(BAD_TOKEN)
        if self._used_up(client_id):
            return refuse(_TOO_MANY)
        consent_id = self._open(app, client_id)
        return web.json_response(
            {"consentAppId": consent_id, "consentAppStatus": "GENERATED", "status": "success"}
        )

    async def generate_partner(self, request: web.Request) -> web.Response:
        """Answer the first step of a partner: open a consent for whoever logs in."""
        partner = self._partner(request)
        if partner is None:
            return refuse(BAD_TOKEN)
        return web.json_response(
            {"consentId": self._open(partner, ""), "consentStatus": "GENERATED"}
        )

    async def page(self, request: web.Request) -> web.Response:
        """Show the login page of an open consent."""
        consent = self._asked(request)
        if consent is None:
            return refuse(_UNKNOWN_CONSENT)
        page = login_page(consent.asker.name, consent.client_id)
        return web.Response(text=page, content_type="text/html")

    async def log_in(self, request: web.Request) -> web.Response:
        """The user agrees: back to the asker's redirect URL with a token id."""
        consent = self._asked(request)
        if consent is None:
            return refuse(_UNKNOWN_CONSENT)
        client_id = consent.client_id or str((await request.post()).get("client_id", ""))
        if self._accounts.get(client_id) is None:
            return refuse(_UNKNOWN_CONSENT)
        if not consent.client_id and self._used_up(client_id):
            return refuse(_TOO_MANY)
        consent.client_id, consent.token_id = client_id, self._next_id("token")
        back = URL(consent.asker.redirect_url).update_query(tokenId=consent.token_id)
        return web.Response(status=302, headers={"Location": str(back)})

    async def consume(self, request: web.Request) -> web.Response:
        """Turn a token id into a token, once."""
        return self._consumed(request, self._app(request), Origin.APP)

    async def consume_partner(self, request: web.Request) -> web.Response:
        """Answer the last step of a partner: the login's token id buys an access token, once."""
        return self._consumed(request, self._partner(request), Origin.PARTNER)

    async def generate_token(self, request: web.Request) -> web.Response:
        """PIN and one-time password, both in the query. Dhan says no with status 200."""
        user = self._accounts.get(request.query.get("dhanClientId", ""))
        if user is None:
            return _no("Invalid Client Id")
        now, every = self._now(), self._config.token_every
        last = self._minted_at.get(user.client_id)
        if every and last and (now - last).total_seconds() < every:
            return _no(f"Token can be generated once every {math.ceil(every / 60)} minutes.")
        if request.query.get("pin") != user.pin:
            return _no("Invalid Pin")
        if not totp.holds(request.query.get("totp", ""), user.totp_secret, now):
            return _no("Invalid TOTP")
        self._minted_at[user.client_id] = now
        return self._token(user.client_id, Origin.WEB)

    async def renew(self, request: web.Request) -> web.Response:
        """Give a token that still lives a new day.

        The old token dies, even where users may hold several.
        """
        token, client_id = (
            request.headers.get("access-token", ""),
            request.headers.get("dhanClientId", ""),
        )
        user = self._accounts.holder(token, client_id)
        if user is None:
            return refuse(BAD_TOKEN)
        if self._accounts.origin(token) is not Origin.WEB:
            return refuse(_NOT_RENEWABLE)
        self._accounts.drop(token)
        return self._token(client_id, Origin.WEB)

    async def renew_by_post(self, _: web.Request) -> web.Response:
        """Refuse a renewal by POST, as Dhan does."""
        return refuse(_NOT_RENEWABLE)

    def _consumed(self, request: web.Request, asker: Asker | None, origin: Origin) -> web.Response:
        token_id = request.query.get("tokenId", "")
        for consent in self._consents.values():
            if asker and token_id and consent.token_id == token_id and consent.asker == asker:
                consent.token_id = ""
                return self._token(consent.client_id, origin)
        return refuse(BAD_TOKEN)

    def _token(self, client_id: str, origin: Origin) -> web.Response:
        return web.json_response(_token_json(self._accounts.mint(client_id, origin)))

    def _asked(self, request: web.Request) -> _Consent | None:
        partner = request.path.endswith("/consent-login")
        consent = self._consents.get(
            request.query.get("consentId" if partner else "consentAppId", "")
        )
        return (
            consent if consent and isinstance(consent.asker, RegisteredPartner) is partner else None
        )

    def _open(self, asker: Asker, client_id: str) -> str:
        consent_id = self._next_id("consent")
        self._consents[consent_id] = _Consent(asker, client_id, self._today())
        return consent_id

    def _used_up(self, client_id: str) -> bool:
        today = self._today()
        made = sum(
            consent.client_id == client_id and consent.day == today
            for consent in self._consents.values()
        )
        return made >= self._config.consents_a_day

    def _today(self) -> date:
        return self._now().astimezone(IST).date()

    def _app(self, request: web.Request) -> RegisteredApp | None:
        app = self._apps.get(request.headers.get("app_id", ""))
        return app if app and app.app_secret == request.headers.get("app_secret") else None

    def _partner(self, request: web.Request) -> RegisteredPartner | None:
        partner = self._partners.get(request.headers.get("partner_id", ""))
        return (
            partner
            if partner and partner.partner_secret == request.headers.get("partner_secret")
            else None
        )

    def _next_id(self, kind: str) -> str:
        self._made += 1
        digest = hashlib.sha256(f"{self._config.seed}|{kind}|{self._made}".encode()).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _token_json(user: SimulatedUser) -> dict[str, object]:
    assert user.expires_at is not None, "mint() gives every token an end"
    return {
        "dhanClientId": user.client_id,
        "dhanClientName": user.name,
        "dhanClientUcc": f"UCC{user.client_id}",
        "givenPowerOfAttorney": True,
        "accessToken": user.token,
        "expiryTime": f"{user.expires_at.astimezone(IST):%Y-%m-%dT%H:%M:%S}",
    }


def _no(message: str) -> web.Response:
    return web.json_response({"status": "error", "message": message})
