"""What decides intents, verdicts, outcomes, exits and positions, beside what the broker shows."""

from __future__ import annotations

from pydantic import JsonValue

from ats.services.manifests.build import build_of
from ats.services.manifests.common import clock_of, host_of, instruments_of
from ats.settings import Settings
from dhan.instruments import Master
from executors.limits import LimitsInForce
from executors.members import Members
from executors.modes import ModeRules
from executors.risk.ban_list import BanList
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from executors.store import Halts
from schemas.calendar import Calendar
from schemas.manifest import Inputs, canonical, digest_of, plain
from schemas.units import BasisPoints
from simulator.paper.config import PaperConfig


def order_inputs(
    settings: Settings,
    *,
    rules: ModeRules,
    limits: UserLimits,
    square_off: SquareOff,
    calendar: Calendar,
    master: Master,
    crowd: BasisPoints | None = None,
) -> Inputs:
    """Of `ats executors` and `ats books`; users' own limits come with `limit_inputs`."""
    return {
        "build": build_of(("schemas", "dhan", "executors"), ("pydantic",)),
        "clock": clock_of(settings),
        "mode": rules.mode.value,
        "egress": egress_of(rules),
        "endpoint": host_of(rules.base_url.url),
        "limits": platform_limits(settings, limits, crowd),
        "square_off": plain(square_off),
        "book_read_s": settings.ats_book_read_seconds,
        "calendar": plain(calendar),
        "instruments": instruments_of(master.by_id.values()),
    }


def platform_limits(settings: Settings, limits: UserLimits, crowd: BasisPoints | None) -> JsonValue:
    """What nobody's order may pass."""
    return {
        "platform": plain(limits),
        "day_loss_rupees": settings.ats_pnl_exit_loss_rupees,
        "crowd_basis_points": plain(crowd),
    }


def limit_inputs(limits: LimitsInForce) -> Inputs:
    """Users' own limits, which only tighten the platform's."""
    return {"user_limits": plain(limits.of_user)}


def egress_of(rules: ModeRules) -> JsonValue:
    """Which account leaves from where, as a digest: whose they are is nobody's business here."""
    entries = sorted(f"{account}={address}" for account, address in rules.egress.addresses.items())
    return {
        "named_only": rules.egress.named_only,
        "accounts": len(entries),
        "digest": digest_of(plain(entries)),
    }


def halt_inputs(halts: Halts) -> Inputs:
    """Who may not trade now; reasons are for people and decide nothing."""
    return {
        "halts": sorted(
            (
                {
                    "user": str(each.user) if each.user else None,
                    "all_orders": each.all_orders,
                    "flatten": each.flatten,
                    "broker_kill": each.broker_kill,
                }
                for each in halts.in_force
            ),
            key=canonical,
        )
    }


def member_inputs(members: Members) -> Inputs:
    """Whose declarations are in force, and a digest of them with accounts and addresses."""
    in_force = {str(each.user) for each in members.all if each.in_force}
    return {"members": {"in_force": plain(in_force), "digest": members.digest}}


def ban_inputs(bans: BanList | None) -> Inputs:
    """The shares whose contracts may only be closed, and on which day; null where nobody knows."""
    return {"ban_list": plain(bans)}


def paper_inputs(settings: Settings, config: PaperConfig) -> Inputs:
    """Of `ats paper`."""
    return {
        "build": build_of(("schemas", "simulator"), ()),
        "clock": clock_of(settings),
        "paper": {
            "funds_paise": int(config.funds),
            "latency_ns": int(config.latency),
            "quirks": plain(config.quirks),
        },
        "calendar": plain(config.calendar),
        "instruments": instruments_of(config.instruments.values()),
    }
