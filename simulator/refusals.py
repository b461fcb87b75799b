"""Why Dhan turns a request away: its codes and words.

Pure; `simulator.api.replies` makes HTTP replies of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Code(Enum):
    """Error code, its wire type and HTTP status (Dhan annexure; recorded replies agree where there
    are any).
    """

    TOKEN = ("DH-901", "Invalid_Authentication", 401)
    ACCESS = ("DH-902", "Invalid_Access", 403)
    ACCOUNT = ("DH-903", "User_Account", 403)
    RATE_LIMIT = ("DH-904", "Rate_Limit", 429)
    INPUT = ("DH-905", "Input_Exception", 400)
    ORDER = ("DH-906", "Order_Error", 400)
    NO_DATA = ("DH-907", "Data_Error", 400)
    SERVER = ("DH-908", "Internal_Server_Error", 500)
    NETWORK = ("DH-909", "Network_Error", 502)
    OTHER = ("DH-910", "Others", 400)
    IP = ("DH-911", "Invalid_IP", 403)
    # an account that owns nothing, as four clients measured it
    HOLDINGS = ("DH-1111", "HOLDING_ERROR", 500)

    @classmethod
    def named(cls, code: str) -> Code:
        """The code written like "DH-905".

        Raises:
            ValueError: there is none.
        """
        for member in cls:
            if member.value[0] == code:
                return member
        raise ValueError(f"no such code: {code!r}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was turned away, in Dhan's words."""

    code: Code
    message: str


BAD_TOKEN: Final = Refusal(
    Code.TOKEN, "Client ID or user generated access token is invalid or expired."
)
TOO_FAST: Final = Refusal(
    Code.RATE_LIMIT,
    "Too many requests on server from single user breaching rate limits. Try throttling API calls.",
)
SERVER_ERROR: Final = Refusal(Code.SERVER, "Server was not able to process API request.")
BAD_INPUT: Final = Refusal(Code.INPUT, "Missing required fields, bad values for parameters etc.")
NO_SUCH_ORDER: Final = Refusal(Code.NO_DATA, "No order found for the given id.")
# To a cancellation of an order that the exchange has not got yet; as measured
IN_TRANSIT: Final = Refusal(Code.ORDER, "Order is in Transit state")
# To a lookup by correlation id, for a name nobody used as for an order in TRANSIT; as measured,
# with status 404
NOT_KNOWN_BY_NAME: Final = Refusal(
    Code.ORDER, "Incorrect request for order and cannot be processed"
)
