-- Who may do what: explicit grants and policies for every table, and the private schema no API reaches.
--
-- Everything is revoked first. Older hosted projects grant every new table and function to anon, authenticated and
-- service_role by default; newer ones and the embedded server grant nothing. After this file both are the same.

revoke all on
  public.user_trading_keys, public.daily_scans, public.analysis_reports, public.trade_decisions, public.user_trade_logs
  from public, anon, authenticated, service_role;

-- Keys: everyone lacks the token's column, service_role included (it bypasses policies, not grants), so `select *` fails.
grant select (id, user_id, dhan_client_id, is_trading_enabled, token_expiry, created_at, updated_at)
  on public.user_trading_keys to authenticated, service_role;
grant update (is_trading_enabled) on public.user_trading_keys to authenticated;
create policy own_keys_are_read on public.user_trading_keys for select to authenticated
  using (user_id = (select auth.uid()));
create policy own_switch_is_turned on public.user_trading_keys for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

-- Scans and reports are the house's own work: no user reads them, so they have no policy on purpose.
grant select, insert, update on public.daily_scans, public.analysis_reports to service_role;

-- A user reads the decisions that concern their own orders, and no other.
grant select, insert, update on public.trade_decisions to service_role;
grant select on public.trade_decisions to authenticated;
create policy decisions_of_own_orders_are_read on public.trade_decisions for select to authenticated
  using (exists (
    select from public.user_trade_logs as log
    where log.decision_id = trade_decisions.id and log.user_id = (select auth.uid())
  ));

-- Logs are written by settle_order alone.
grant select on public.user_trade_logs to authenticated, service_role;
create policy own_logs_are_read on public.user_trade_logs for select to authenticated
  using (user_id = (select auth.uid()));

-- Not among the exposed schemas (supabase/config.toml) and without USAGE for any API role: reached by functions only.
create schema private;
revoke all on schema private from public, anon, authenticated, service_role;

create table private.order_claims (
  user_id uuid not null references auth.users (id) on delete restrict,
  decision_id uuid not null references public.trade_decisions (id),
  order_id uuid not null unique,
  correlation_id text unique,
  -- Null when the intent was denied before it was ever claimed.
  claimed_at timestamptz,
  recorded_at timestamptz not null default clock_timestamp(),
  outcome text check (outcome in ('accepted', 'rejected', 'denied', 'not_found')),
  dhan_order_id text,
  reason text,
  settled_at timestamptz,
  primary key (user_id, decision_id),
  constraint a_claim_names_its_order check (claimed_at is null or correlation_id is not null),
  constraint only_a_denial_needs_no_claim check (claimed_at is not null or outcome is not distinct from 'denied'),
  constraint settled_or_open check ((outcome is null) = (settled_at is null))
);
comment on table private.order_claims is
  'One row per (user, decision): the promise that at most one order leaves. Additive to the five tables.';
create index order_claims_decision_id on private.order_claims (decision_id);
create index order_claims_open on private.order_claims (claimed_at) where outcome is null;
alter table private.order_claims enable row level security;

create table private.key_audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  user_id uuid not null,  -- no foreign key: the trail outlives the user
  action text not null check (action in ('stored', 'deleted', 'claimed', 'reconciled')),
  decision_id uuid,
  actor_role text not null,
  actor_id uuid
);
comment on table private.key_audit is 'Who stored, deleted or was handed which user''s Dhan token, and why. Never the token.';
create index key_audit_user_id on private.key_audit (user_id, at);
alter table private.key_audit enable row level security;
