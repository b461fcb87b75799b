"""Makes up one session, a minute of all instruments at a time, from a seed.

What was printed is made again when needed, not kept. In memory stands one course in minutes for
each instrument (`characters`); the prints inside a minute are a pure function of the seed, the
date, the instrument's id and the minute (`noise`), so one instrument's day can be had alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.errors import Misconfigured
from schemas.market import Instrument, Session, to_tick
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE, BasisPoints, Paise
from simulator.market import contracts, noise, universe
from simulator.market.characters import Course, DayProfile, course
from simulator.market.contracts import Contract
from simulator.market.cumulative import Block, Running, in_order
from simulator.market.session import market_session
from simulator.market.tape import (
    CHUNK,
    MINUTE,
    USUAL_BAND,
    Listing,
    Market,
    Numbers,
    Prints,
    fixed_figures,
)

TICK_SIZE: Final = Paise(5)  # NSE's step for most shares
INDEX_SCALE: Final = 0.5  # an index moves less than its parts
CRASH_BAND: Final = BasisPoints(1_000)  # the common circuit of a share without derivatives
MOST_SHARES: Final = 5_000  # what one connection of Dhan's feed may carry
_COUNT, _SECOND, _PRICE, _SIZE = 1, 2, 3, 5  # streams of random numbers; normal ones take two
_USUAL_PRINTS: Final = 12  # of an instrument in a minute
_OPTION_PRINTS: Final = (2, 6)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make up.

    Attributes:
        shares: How many; known names first.
        character: Of every instrument that `characters` does not name.
        characters: By symbol.
        options: Symbols whose options trade too.
    """

    shares: int = 20
    character: DayProfile = DayProfile.TRENDING
    characters: Mapping[str, DayProfile] | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """One instrument in the making.

    `base` is the open in paise, `of` the place whose course it follows.
    """

    listing: Listing
    base: float
    course: Course
    of: int


def generate(seed: int, day: date, shares: int = 20, plan: Plan | None = None) -> Market:
    """A session of the NIFTY index, which has no volume, and of shares.

    Raises:
        Misconfigured: too many shares, or a character or option of an unknown symbol.
    """
    plan = plan or Plan(shares)
    session = market_session(day)
    rows = list(_rows(seed, session, plan))
    return Market(session, tuple(row.listing for row in rows), Generated(seed, session, rows))


class Generated:
    """The prints of `generate`; see `tape.Source`."""

    def __init__(self, seed: int, session: Session, rows: Sequence[_Row]) -> None:
        self._session = session
        self._listings = [row.listing for row in rows]
        keys = [noise.key(seed, session.day, listing.id) for listing in self._listings]
        self._keys = np.array(keys, np.uint64)
        self._base = np.array([row.base for row in rows])
        self._of = np.array([row.of for row in rows])
        self._levels = np.stack([np.append(0, row.course.levels) for row in rows]).astype(
            np.float32
        )
        self._noise = np.stack([row.course.noise for row in rows]).astype(np.float32)
        self._least = np.stack([row.course.least for row in rows]).astype(np.uint8)
        self._most = np.stack([row.course.most for row in rows]).astype(np.uint8)
        self._size = np.stack([row.course.size for row in rows]).astype(np.float32)
        self._fixed = fixed_figures(self._listings)
        self._options = _Options(self._listings, session.day)
        interest = [
            0 if one.contract is None else _interest(one.contract, session.day, seed)
            for one in self._listings
        ]
        self._fixed["open_interest"] = interest

    @property
    def minutes(self) -> int:
        """How many minutes the session has."""
        return int(self._levels.shape[1]) - 1

    @cached_property
    def total(self) -> int:
        """How many prints the session has, the closing ones included."""
        closing = len(self._listings)
        return closing + sum(
            int(self._counts(self._all, np.full(closing, at)).sum()) for at in range(self.minutes)
        )

    def chunks(self) -> Iterator[Prints]:
        """Make all prints in order of time, some minutes of the market at once."""
        running, together = (
            Running(self._fixed),
            max(1, CHUNK // (_USUAL_PRINTS * len(self._listings))),
        )
        for minute in range(0, self.minutes, together):
            made = running.prints(
                self._all, self._span(self._all, minute, min(minute + together, self.minutes))
            )
            if len(made):
                yield in_order(made)
        yield running.closing(self._session.close // NS_PER_SECOND)

    def tape(self, place: int) -> Prints:
        """Make the prints of one instrument alone, the same as `chunks` has of it."""
        running, alone = Running(self._fixed[place : place + 1]), np.array([place])
        prints = running.prints(np.zeros(1, np.int64), self._span(alone, 0, self.minutes))
        return np.concatenate([prints, running.closing(self._session.close // NS_PER_SECOND)])

    def _span(self, places: Numbers, begin: int, end: int) -> Block:
        """The prints of the minutes from `begin` to before `end`; one row for each place."""
        minutes = np.arange(begin, end)
        return self._block(places.repeat(len(minutes)), np.tile(minutes, len(places))).joined(
            len(places)
        )

    @cached_property
    def _all(self) -> Numbers:
        return np.arange(len(self._listings))

    def _block(self, places: Numbers, minutes: Numbers) -> Block:
        """The prints of each place in its minute: one row each, padded to the fullest."""
        keys, counts = noise.mixed(self._keys[places], minutes), self._counts(places, minutes)
        width = int(counts.max()) + 1  # the last column is the minute's end
        at = np.arange(width)[None, :]
        stride = MINUTE / np.maximum(counts, 1)[:, None]
        # evenly spread starts with room between them: seconds of one minute rise and differ
        within = (at * stride + noise.uniform(keys, _SECOND, width) * (stride - 1)).astype(np.int64)
        share = np.where(at < counts[:, None], (within + 0.5) / MINUTE, 1.0)
        begin, end = (
            self._levels[places, minutes][:, None],
            self._levels[places, minutes + 1][:, None],
        )
        wander = _bridge(share, noise.normal(keys, _PRICE, width))
        bounce = wander * self._noise[places, minutes][:, None]
        paise = self._base[places][:, None] * np.exp(begin + (end - begin) * share + bounce)
        paise = self._options.worth(places, minutes, paise)
        size = self._size[places, minutes][:, None] * np.exp(0.8 * noise.normal(keys, _SIZE, width))
        traded = self._fixed["upper_circuit"][places] > 0
        quantities = np.where(traded[:, None], np.maximum(1, size), 0).astype(np.int64)
        lots = self._options.lots[places][:, None]
        seconds = within + (self._session.open // NS_PER_SECOND + minutes * MINUTE)[:, None]
        return Block(
            seconds, self._to_steps(places, paise), quantities * lots, at < counts[:, None]
        )

    def _to_steps(self, places: Numbers, paise: Floats) -> Numbers:
        fixed = self._fixed[places]
        step = fixed["tick_size"][:, None]
        prices = np.maximum(np.rint(paise / step), 1).astype(np.int64) * step
        upper = np.where(fixed["upper_circuit"] > 0, fixed["upper_circuit"], np.iinfo(np.int64).max)
        inside: Numbers = np.clip(prices, fixed["lower_circuit"][:, None], upper[:, None])
        return inside

    def _counts(self, places: Numbers, minutes: Numbers) -> Numbers:
        least, most = (
            self._least[places, minutes].astype(np.int64),
            self._most[places, minutes].astype(np.int64),
        )
        drawn = noise.uniform(noise.mixed(self._keys[places], minutes), _COUNT, 1)[:, 0]
        counts: Numbers = np.maximum(
            least + (drawn * (most - least + 1)).astype(np.int64), minutes == 0
        )
        return counts  # everything opens: the first minute has a print


def _bridge(share: Floats, draws: Floats) -> Floats:
    """From one end of a minute to the other, without a hint of where it goes next.

    A Brownian bridge at `share` of each row's minute (rising, 1 at the end), of variance 1 a
    minute, so that together with the minutes' steps the prints are one random walk.
    """
    walk = np.cumsum(draws * np.sqrt(np.diff(share, axis=1, prepend=0.0)), axis=1)
    bridge: Floats = walk - share * walk[:, -1:]
    return bridge


class _Options:
    """Turns the underlying's price into the contract's, for the places that are contracts."""

    def __init__(self, listings: Sequence[Listing], day: date) -> None:
        self._is_option = np.array([listing.contract is not None for listing in listings])
        self._strike = np.array([_number(one.contract, "strike") for one in listings])
        self._sign = np.array([_number(one.contract, "sign") for one in listings])
        self._volatility = np.array([_number(one.contract, "volatility") for one in listings])
        self._years = np.array(
            [one.contract.years(day) if one.contract else 1.0 for one in listings]
        )
        self.lots = np.array([one.instrument.lot_size if one.contract else 1 for one in listings])

    def worth(self, places: Numbers, minutes: Numbers, paise: Floats) -> Floats:
        rows = np.flatnonzero(self._is_option[places])
        if not len(rows):
            return paise
        which = places[rows]
        years, strike, volatility, sign = (
            column[which][:, None]
            for column in (self._years, self._strike, self._volatility, self._sign)
        )
        decayed = years - minutes[rows][:, None] * MINUTE / contracts.YEAR_SECONDS
        paise = paise.copy()
        paise[rows] = contracts.worth(paise[rows], strike, decayed, volatility, sign)
        return paise


def _number(contract: Contract | None, name: str) -> float:
    return float(getattr(contract, name)) if contract else 1.0


def _interest(contract: Contract, day: date, seed: int) -> int:
    lot = contracts.INDEX_LOT if contract.underlying.segment.code == 0 else contracts.SHARE_LOT
    return contracts.open_interest(contract, day, seed, lot)


def _rows(seed: int, session: Session, plan: Plan) -> Iterator[_Row]:
    if not 0 <= plan.shares <= MOST_SHARES:
        raise Misconfigured(
            f"{plan.shares} shares cannot be generated: give a number from 0 to {MOST_SHARES}"
        )
    rows = [
        _row(seed, session, plan, instrument, rupees)
        for instrument, rupees in _universe(plan.shares)
    ]
    rows = [replace(row, of=place) for place, row in enumerate(rows)]
    symbols = {row.listing.instrument.symbol: row for row in rows}
    if unknown := {*(plan.characters or {}), *plan.options} - symbols.keys():
        raise Misconfigured(
            f"the generated market has no {', '.join(sorted(unknown))}: it holds NIFTY and the "
            f"first {plan.shares} shares"
        )
    yield from rows
    for symbol in plan.options:
        yield from _option_rows(symbols[symbol], session)


def _universe(shares: int) -> Iterator[tuple[Instrument, int]]:
    nifty = universe.INDICES[0]
    yield universe.index(nifty.symbol, TICK_SIZE), nifty.rupees
    for place in range(shares):
        if place < len(universe.SHARES):
            known = universe.SHARES[place]
            yield universe.share(known.symbol, TICK_SIZE), known.rupees
        else:
            yield universe.share(f"SIM{place:04d}", TICK_SIZE), 100 + place % 1_900


def _row(seed: int, session: Session, plan: Plan, instrument: Instrument, rupees: int) -> _Row:
    identity = instrument.id
    rng = np.random.default_rng(
        [seed, session.day.toordinal(), identity.segment.code, identity.security_id]
    )
    character = (plan.characters or {}).get(instrument.symbol, plan.character)
    crashing = character is DayProfile.CRASH and instrument.tradable
    band = CRASH_BAND if crashing else USUAL_BAND
    minutes = (session.close - session.open) // NS_PER_SECOND // MINUTE
    scale = 1.0 if instrument.tradable else INDEX_SCALE
    made = course(character, rng, minutes, band=band / 10_000, scale=scale)
    close = to_tick(rupees * PAISE_PER_RUPEE * rng.uniform(0.95, 1.05), instrument.tick_size)
    listing = Listing(instrument, close, band)
    return _Row(listing, close * float(np.exp(made.gap)), made, 0)


def _option_rows(underlying: _Row, session: Session) -> Iterator[_Row]:
    """Contracts follow the underlying's course; their own prints are few."""
    close, walk = underlying.listing.previous_close, underlying.course
    few = np.full(len(walk.levels), 1, np.int64)
    quiet = replace(
        walk, noise=walk.noise / 4, least=few * _OPTION_PRINTS[0], most=few * _OPTION_PRINTS[1]
    )
    size = np.full(len(walk.levels), 4.0)  # lots
    for instrument, contract in contracts.chain(underlying.listing.instrument, close, session.day):
        at_close = contracts.worth_at_close(contract, close, session.day)
        listing = Listing(instrument, to_tick(at_close, instrument.tick_size), contract=contract)
        yield _Row(listing, underlying.base, replace(quiet, size=size), underlying.of)
