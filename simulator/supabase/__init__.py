"""A stand-in for Supabase over a real Postgres: REST and Auth, as far as our clients use them."""

from simulator.supabase.gateway import SupabaseStandIn
from simulator.supabase.migrate import migrate, migrations_in
from simulator.supabase.tokens import Keys

__all__ = ["Keys", "SupabaseStandIn", "migrate", "migrations_in"]
