"""Dhan's error replies: the trading shape with its codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from aiohttp import web


class Code(Enum):
    """Error code, its wire type and HTTP status (Dhan annexure; recorded replies agree)."""

    TOKEN = ("DH-901", "Invalid_Authentication", 401)
    RATE_LIMIT = ("DH-904", "Rate_Limit", 429)
    INPUT = ("DH-905", "Input_Exception", 400)
    ORDER = ("DH-906", "Order_Error", 400)
    NO_DATA = ("DH-907", "Data_Error", 400)
    SERVER = ("DH-908", "Internal_Server_Error", 500)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was turned away, in Dhan's words."""

    code: Code
    message: str

    def reply(self) -> web.Response:
        error_code, error_type, status = self.code.value
        body = {"errorType": error_type, "errorCode": error_code, "errorMessage": self.message}
        return web.json_response(body, status=status)


BAD_TOKEN: Final = Refusal(Code.TOKEN, "Client ID or user generated access token is invalid or expired.")
TOO_FAST: Final = Refusal(
    Code.RATE_LIMIT,
    "Too many requests on server from single user breaching rate limits. Try throttling API calls.",
)
SERVER_ERROR: Final = Refusal(Code.SERVER, "Server was not able to process API request.")
NO_SUCH_ORDER: Final = Refusal(Code.NO_DATA, "No order found for the given id.")
