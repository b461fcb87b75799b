"""`/auth/v1`: the part of Supabase Auth our clients use.

Sign-up, sessions, magic links, user, logout, admin.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
from aiohttp import web

from simulator.supabase.catalogue import Connection
from simulator.supabase.errors import AuthError
from simulator.supabase.links import Links
from simulator.supabase.rest import Caller
from simulator.supabase.tokens import ACCESS_TOKEN_SECONDS, sign

MIN_PASSWORD: Final = 6  # Supabase Auth's default
PAGE: Final = 50
# two tabs may refresh with the same token at once; config.toml has the same
REFRESH_REUSE_SECONDS: Final = 10.0
_SALT_BYTES: Final = 16
# an unknown address costs the same work
_NO_PASSWORD: Final = base64.b64encode(bytes(_SALT_BYTES + 64)).decode()

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to Auth, with the connection its transaction runs on."""

    connection: Connection
    caller: Caller
    query: dict[str, str]
    body: Body

    def text(self, name: str) -> str:
        """A text of the body, empty when it is missing or something else."""
        value = self.body.get(name)
        return value if isinstance(value, str) else ""

    def user_id(self) -> UUID:
        """The signed-in user."""
        return self._claimed("sub")

    def session_id(self) -> UUID:
        """The session of the signed-in user."""
        return self._claimed("session_id")

    def _claimed(self, name: str) -> UUID:
        try:
            return UUID(self.caller.claims[name])
        except (KeyError, ValueError):
            raise AuthError(403, "bad_jwt", f"invalid claim: missing {name} claim") from None


class Auth:
    """The service. Users are confirmed on sign-up: the stand-in sends no mail."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], jwt_secret: str, url: str) -> None:
        self._pool = pool
        self._jwt_secret = jwt_secret
        self._url = url
        self._links = Links(url)
        self._routes: dict[tuple[str, str], Callable[[Asked], Awaitable[web.Response]]] = {
            ("GET", "health"): self._health,
            ("GET", "settings"): self._settings,
            ("POST", "signup"): self._sign_up,
            ("POST", "token"): self._token,
            ("POST", "otp"): self._send_link,
            ("GET", "verify"): self._follow_link,
            ("POST", "logout"): self._log_out,
            ("GET", "user"): self._user,
            ("POST", "admin/users"): self._create_user,
            ("GET", "admin/users"): self._list_users,
            ("GET", "admin/mails"): self._list_mails,
        }

    async def handle(self, request: web.Request, caller: Caller) -> web.Response:
        """Answer one request under `/auth/v1`, in one transaction; errors as GoTrue words them."""
        path = request.match_info["path"].rstrip("/")
        collection, _, item = path.rpartition("/")
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                asked = Asked(connection, caller, dict(request.query), await _body(request))
                if path.startswith("admin/") and caller.role != "service_role":
                    raise AuthError(403, "not_admin", "User not allowed")
                if collection == "admin/users" and request.method in {"GET", "DELETE"}:
                    return await self._one_user(asked, item, delete=request.method == "DELETE")
                if (request.method, path) not in self._routes:
                    raise AuthError(
                        404, "not_found", f"stand-in: {request.method} /{path} is not implemented"
                    )
                return await self._routes[request.method, path](asked)
        except asyncpg.PostgresError as error:
            raise AuthError(500, "unexpected_failure", f"Database error: {error}") from error

    async def _health(self, _: Asked) -> web.Response:
        return web.json_response(
            {"name": "GoTrue", "version": "stand-in", "description": "stand-in"}
        )

    async def _settings(self, _: Asked) -> web.Response:
        return web.json_response(
            {"external": {"email": True}, "disable_signup": False, "mailer_autoconfirm": True}
        )

    async def _sign_up(self, asked: Asked) -> web.Response:
        user = await _insert_user(asked, metadata="data", confirmed=True)
        if user is None:
            raise AuthError(422, "user_already_exists", "User already registered")
        return await self._new_session(asked.connection, user)

    async def _token(self, asked: Asked) -> web.Response:
        match asked.query.get("grant_type"):
            case "password":
                return await self._password_grant(asked)
            case "refresh_token":
                return await self._refresh_grant(asked)
            case "pkce":
                return await self._code_grant(asked)
            case other:
                raise AuthError(
                    400,
                    "unsupported_grant_type",
                    f"stand-in: grant_type {other} is not implemented",
                )

    async def _password_grant(self, asked: Asked) -> web.Response:
        found = "select * from auth.users where lower(email) = lower($1)"
        user = await asked.connection.fetchrow(found, asked.text("email").strip())
        stored = (user and user["encrypted_password"]) or _NO_PASSWORD
        if not await asyncio.to_thread(_matches, asked.text("password"), stored) or user is None:
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        if user["email_confirmed_at"] is None:
            raise AuthError(400, "email_not_confirmed", "Email not confirmed")
        return await self._new_session(asked.connection, user)

    async def _code_grant(self, asked: Asked) -> web.Response:
        found = "select * from auth.users where id = $1"
        user_id = self._links.redeem(asked.text("auth_code"), asked.text("code_verifier"))
        user = await asked.connection.fetchrow(found, user_id)
        if user is None:
            raise AuthError(404, "user_not_found", "User not found")
        return await self._new_session(asked.connection, user)

    async def _send_link(self, asked: Asked) -> web.Response:
        """To users who exist; making one by mail is not implemented, as no client of ours asks for
        it.
        """
        email = asked.text("email").strip()
        user = await asked.connection.fetchrow(
            "select * from auth.users where lower(email) = lower($1)", email
        )
        if user is None:
            raise AuthError(422, "otp_disabled", "Signups not allowed for otp")
        self._links.send(
            user["email"],
            user["id"],
            asked.query.get("redirect_to", ""),
            asked.text("code_challenge"),
        )
        return web.json_response({})

    async def _follow_link(self, asked: Asked) -> web.Response:
        target = self._links.follow(asked.query.get("token", ""))
        if target is None:
            raise AuthError(403, "otp_expired", "Email link is invalid or has expired")
        return web.Response(status=303, headers={"Location": str(target)})

    async def _list_mails(self, _: Asked) -> web.Response:
        """Not Supabase's: where a person or a test reads the mails that were not sent."""
        return web.json_response([{"to": mail.to, "link": mail.link} for mail in self._links.mails])

    async def _refresh_grant(self, asked: Asked) -> web.Response:
        """Rotate: the old token is spent, but may be repeated for a few seconds."""
        connection, token = asked.connection, asked.text("refresh_token")
        old = await connection.fetchrow(
            "select * from auth.refresh_tokens where token = $1 for update", token
        )
        if old is None:
            raise AuthError(
                400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"
            )
        if old["revoked"] and not await connection.fetchval(
            "select exists (select from auth.refresh_tokens where parent = $1"
            " and created_at > clock_timestamp() - make_interval(secs => $2))",
            token,
            REFRESH_REUSE_SECONDS,
        ):
            raise AuthError(
                400, "refresh_token_already_used", "Invalid Refresh Token: Already Used"
            )
        await connection.execute(
            "update auth.refresh_tokens set revoked = true where token = $1", token
        )
        owner = (
            "select u.* from auth.users u join auth.sessions s on s.user_id = u.id where s.id = $1"
        )
        user = await connection.fetchrow(owner, old["session_id"])
        assert user is not None, "a refresh token goes with its session and its user"
        return await self._session(connection, user, old["session_id"], parent=token)

    async def _new_session(self, connection: Connection, user: asyncpg.Record) -> web.Response:
        session_id = await connection.fetchval(
            "insert into auth.sessions (user_id) values ($1) returning id", user["id"]
        )
        return await self._session(connection, user, session_id, parent=None)

    async def _session(
        self, connection: Connection, user: asyncpg.Record, session_id: UUID, parent: str | None
    ) -> web.Response:
        refresh_token = secrets.token_urlsafe(16)
        stored = "insert into auth.refresh_tokens (token, session_id, parent) values ($1, $2, $3)"
        await connection.execute(stored, refresh_token, session_id, parent)
        seen = "update auth.users set last_sign_in_at = now() where id = $1 returning *"
        row = await connection.fetchrow(seen, user["id"])
        assert row is not None, "the user was read in this transaction"
        shown = _shown(row)
        access_token, expires_at = sign(
            self._jwt_secret, f"{self._url}/auth/v1", shown, str(session_id)
        )
        return web.json_response(
            {
                "access_token": access_token,
                "token_type": "bearer",
                "expires_in": ACCESS_TOKEN_SECONDS,
                "expires_at": expires_at,
                "refresh_token": refresh_token,
                "user": shown,
            }
        )

    async def _user(self, asked: Asked) -> web.Response:
        live = (
            "select u.* from auth.users u join auth.sessions s on s.user_id = u.id where u.id = "
            "$1 and s.id = $2"
        )
        user = await asked.connection.fetchrow(live, asked.user_id(), asked.session_id())
        if user is None:
            raise AuthError(
                403, "session_not_found", "Session from session_id claim in JWT does not exist"
            )
        return web.json_response(_shown(user))

    async def _log_out(self, asked: Asked) -> web.Response:
        """The access token stays valid for the database until it expires, as on Supabase."""
        match asked.query.get("scope", "global"):
            case "global":
                await asked.connection.execute(
                    "delete from auth.sessions where user_id = $1", asked.user_id()
                )
            case "local":
                await asked.connection.execute(
                    "delete from auth.sessions where id = $1", asked.session_id()
                )
            case other:
                raise AuthError(
                    400, "validation_failed", f"stand-in: logout scope {other} is not implemented"
                )
        return web.Response(status=204)

    async def _create_user(self, asked: Asked) -> web.Response:
        user = await _insert_user(
            asked, metadata="user_metadata", confirmed=asked.body.get("email_confirm") is True
        )
        if user is None:
            raise AuthError(
                422, "email_exists", "A user with this email address has already been registered"
            )
        return web.json_response(_shown(user))

    async def _list_users(self, asked: Asked) -> web.Response:
        page, size = (
            _positive(asked.query.get(name), default)
            for name, default in (("page", 1), ("per_page", PAGE))
        )
        listed = "select * from auth.users order by created_at desc, id limit $1 offset $2"
        users = await asked.connection.fetch(listed, size, (page - 1) * size)
        return web.json_response(
            {"users": [_shown(user) for user in users], "aud": "authenticated"}
        )

    async def _one_user(self, asked: Asked, user_id: str, *, delete: bool) -> web.Response:
        if delete and asked.body.get("should_soft_delete"):
            raise AuthError(400, "validation_failed", "stand-in: soft deletion is not implemented")
        statement = (
            "delete from auth.users where id = $1 returning *"
            if delete
            else "select * from auth.users where id = $1"
        )
        try:
            user = await asked.connection.fetchrow(statement, UUID(user_id))
        except ValueError:
            raise AuthError(400, "validation_failed", f"not a user id: {user_id}") from None
        if user is None:
            raise AuthError(404, "user_not_found", "User not found")
        return web.json_response(_shown(user))


async def _body(request: web.Request) -> Body:
    text = await request.read()
    try:
        body = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        raise AuthError(400, "bad_json", "Could not parse request body as JSON") from None
    if not isinstance(body, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON: expected an object")
    return body


async def _insert_user(asked: Asked, *, metadata: str, confirmed: bool) -> asyncpg.Record | None:
    """The new user; None when the address is taken."""
    email, password = asked.text("email").strip().lower(), asked.text("password")
    if "@" not in email:
        raise AuthError(
            400, "validation_failed", "Unable to validate email address: invalid format"
        )
    if len(password) < MIN_PASSWORD:
        raise AuthError(
            422, "weak_password", f"Password should be at least {MIN_PASSWORD} characters."
        )
    return await asked.connection.fetchrow(
        "insert into auth.users (email, encrypted_password, raw_user_meta_data, email_confirmed_at)"
        " values ($1, $2, $3, case when $4 then now() end) on conflict (lower(email)) do nothing "
        "returning *",
        email,
        await _hashed(password),
        orjson.dumps(asked.body.get(metadata) or {}).decode(),
        confirmed,
    )


def _shown(user: asyncpg.Record) -> Body:
    """A user as the clients' models want it."""
    user_id, created_at, updated_at = (
        str(user["id"]),
        _moment(user["created_at"]),
        _moment(user["updated_at"]),
    )
    last_sign_in_at = _moment(user["last_sign_in_at"])
    identity = {
        "identity_id": user_id, "id": user_id, "user_id": user_id, "provider": "email",
        "email": user["email"], "identity_data": {"email": user["email"], "sub": user_id},
        "created_at": created_at, "updated_at": updated_at, "last_sign_in_at": last_sign_in_at,
    }  # fmt: skip
    return {
        "id": user_id, "aud": user["aud"], "role": user["role"], "email": user["email"],
        "phone": "", "email_confirmed_at": _moment(user["email_confirmed_at"]),
        "confirmed_at": _moment(user["email_confirmed_at"]),
        "last_sign_in_at": last_sign_in_at, "app_metadata": orjson.loads(user["raw_app_meta_data"]),
        "user_metadata": orjson.loads(user["raw_user_meta_data"]), "identities": [identity],
        "created_at": created_at, "updated_at": updated_at, "is_anonymous": False,
    }  # fmt: skip


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _positive(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) > 0 else default


async def _hashed(password: str) -> str:
    salt = os.urandom(_SALT_BYTES)
    return base64.b64encode(salt + await asyncio.to_thread(_scrypt, password, salt)).decode()


def _matches(password: str, stored: str) -> bool:
    raw = base64.b64decode(stored)
    return hmac.compare_digest(raw[_SALT_BYTES:], _scrypt(password, raw[:_SALT_BYTES]))


def _scrypt(password: str, salt: bytes) -> bytes:
    # RFC 7914's interactive cost, 40 ms
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
