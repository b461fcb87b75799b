-- The five tables of the product, with their exact names and columns, their value lists and their indexes.
--
-- Runs on Postgres 15 to 18. Hosted Supabase is 15 or 17, the embedded server 18: nothing newer than 15 may be used here.
-- Row level security is switched on in the very migration that makes a table, so that no moment exists without it; who
-- may do what stands in the next file.

create table public.user_trading_keys (
  id uuid primary key default gen_random_uuid(),
  -- The token goes with its owner. A user with trade logs cannot be deleted (see user_trade_logs).
  user_id uuid not null unique references auth.users (id) on delete cascade,
  dhan_client_id text,
  dhan_access_token text,
  is_trading_enabled boolean not null default false,
  token_expiry timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint a_token_names_its_account_and_its_end
    check (dhan_access_token is null or (dhan_client_id is not null and token_expiry is not null))
);
comment on column public.user_trading_keys.is_trading_enabled is 'The master switch: no order while it is off.';
comment on column public.user_trading_keys.dhan_access_token is
  'Plain, readable through no API role: handed out by claim_order and reconcile_order only, one user a call, audited.';
alter table public.user_trading_keys enable row level security;

create table public.daily_scans (
  id uuid primary key default gen_random_uuid(),
  date date not null,
  symbol text not null,
  scan_result text not null check (scan_result in ('SHORTLISTED', 'DISCARDED')),
  initial_signal text not null check (initial_signal in ('BULLISH', 'BEARISH'))
);
create index daily_scans_date on public.daily_scans (date, scan_result);
alter table public.daily_scans enable row level security;

create table public.analysis_reports (
  id uuid primary key default gen_random_uuid(),
  scan_id uuid not null references public.daily_scans (id),
  agent_type text not null check (agent_type in ('TECHNICAL', 'SENTIMENT')),
  report_data jsonb not null,
  sentiment_score integer not null check (sentiment_score between -100 and 100)
);
create index analysis_reports_scan_id on public.analysis_reports (scan_id);
alter table public.analysis_reports enable row level security;

create table public.trade_decisions (
  id uuid primary key default gen_random_uuid(),
  -- Null when the signal's instrument was on no scan: a decision needs no scan, a report does.
  scan_id uuid references public.daily_scans (id),
  symbol text not null,
  action text not null check (action in ('BUY', 'SELL', 'HOLD')),
  reasoning text not null,
  is_executed boolean not null default false
);
create index trade_decisions_scan_id on public.trade_decisions (scan_id);
alter table public.trade_decisions enable row level security;

create table public.user_trade_logs (
  id uuid primary key default gen_random_uuid(),
  -- Restrict: the record of a trade outlives the wish to forget it (five years of evidence, market-rules).
  user_id uuid not null references auth.users (id) on delete restrict,
  decision_id uuid not null references public.trade_decisions (id),
  dhan_order_id text,
  status text not null check (status in ('SUCCESS', 'FAILED')),
  failure_reason text,
  unique (user_id, decision_id),
  constraint success_has_an_order check (status <> 'SUCCESS' or dhan_order_id is not null),
  constraint failure_has_a_reason check ((status = 'FAILED') = (failure_reason is not null))
);
create index user_trade_logs_decision_id on public.user_trade_logs (decision_id);
alter table public.user_trade_logs enable row level security;
