-- What became of every order: each order and leg as the broker shows it, each fill, and what a user did and holds a day.
--
-- Three projections of the fold over ats.order-events, for the page. The truth stays on the topic. Rows are written by the
-- functions below alone. `version` is the offset of the user's partition up to which the fold had read: a message that is
-- repeated, or older than what stands here, changes nothing.

create table public.order_states (
  user_id uuid not null references auth.users (id) on delete restrict,
  dhan_order_id text not null check (dhan_order_id ~ '^[!-~]{1,64}$'),
  leg text not null check (leg in ('entry', 'stop_loss', 'target')),
  trading_date date not null,
  dhan_correlation_id text not null check (length(dhan_correlation_id) <= 40),
  -- Of the claim that placed it. Null: placed elsewhere, such as on the user's phone, or to protect or close.
  order_id uuid,
  decision_id uuid,
  instrument text not null check (instrument ~ '^[A-Z_]{1,20}:[0-9]{1,10}$'),
  symbol text not null check (length(symbol) <= 100),
  side text not null check (side in ('BUY', 'SELL')),
  product text not null check (length(product) <= 100),
  order_type text not null check (length(order_type) <= 100),
  status text not null check (status ~ '^[A-Z_]{1,30}$'),
  status_word text not null check (length(status_word) <= 100),
  quantity bigint not null check (quantity >= 0),
  filled bigint not null check (filled >= 0),
  filled_value_paise bigint not null check (filled_value_paise >= 0),
  price_paise bigint not null check (price_paise >= 0),
  trigger_paise bigint not null check (trigger_paise >= 0),
  updated_at timestamptz,  -- the broker's own time of this state
  reason text not null check (length(reason) <= 4000),
  version bigint not null check (version >= 0),
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (user_id, dhan_order_id, leg)
);
comment on table public.order_states is 'One row per broker order or leg of a super order, as last known.';

create table public.trades (
  user_id uuid not null references auth.users (id) on delete restrict,
  dhan_order_id text not null check (dhan_order_id ~ '^[!-~]{1,64}$'),
  trade_id text not null check (length(trade_id) between 1 and 100),  -- the exchange's; unique within a day at most
  trading_date date not null,
  instrument text not null check (instrument ~ '^[A-Z_]{1,20}:[0-9]{1,10}$'),
  symbol text not null check (length(symbol) <= 100),
  side text not null check (side in ('BUY', 'SELL')),
  product text not null check (length(product) <= 100),
  quantity bigint not null check (quantity >= 1),
  price_paise bigint not null check (price_paise >= 1),
  traded_at timestamptz,
  charges_paise bigint check (charges_paise >= 0),  -- estimated; null before they are
  version bigint not null check (version >= 0),
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (user_id, dhan_order_id, trade_id)
);
comment on table public.trades is 'One row per fill. What was traded never changes; its estimated charges may.';

create table public.positions (
  user_id uuid not null references auth.users (id) on delete restrict,
  trading_date date not null,
  instrument text not null check (instrument ~ '^[A-Z_]{1,20}:[0-9]{1,10}$'),
  symbol text not null check (length(symbol) <= 100),
  bought bigint not null check (bought >= 0),
  bought_value_paise bigint not null check (bought_value_paise >= 0),
  sold bigint not null check (sold >= 0),
  sold_value_paise bigint not null check (sold_value_paise >= 0),
  net bigint not null,  -- units; below zero is short
  realised_paise bigint not null,  -- gross of charges
  charges_paise bigint check (charges_paise >= 0),
  resting_stop bigint not null check (resting_stop >= 0),  -- units that a stop resting at the broker would close
  unprotected_ms bigint not null check (unprotected_ms >= 0),  -- with a position and no stop for all of it
  closed_by text check (closed_by ~ '^[a-z_]{1,40}$'),  -- what closed it, such as target, stop_loss, square_off, halt
  by_trades boolean not null,  -- every filled unit is known trade by trade
  agrees boolean,  -- whether the broker's own count was the same; null before it was read
  version bigint not null check (version >= 0),
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (user_id, trading_date, instrument)
);
comment on table public.positions is 'What one user did and holds in one instrument on one day.';

alter table public.order_states enable row level security;
alter table public.trades enable row level security;
alter table public.positions enable row level security;
revoke all on public.order_states, public.trades, public.positions from public, anon, authenticated, service_role;
grant select on public.order_states, public.trades, public.positions to authenticated, service_role;
create policy own_order_states_are_read on public.order_states for select to authenticated
  using (user_id = (select auth.uid()));
create policy own_trades_are_read on public.trades for select to authenticated
  using (user_id = (select auth.uid()));
create policy own_positions_are_read on public.positions for select to authenticated
  using (user_id = (select auth.uid()));

-- A thousand rows at most in one call.
create function private.refuse_too_many(p_rows jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_rows is null or jsonb_typeof(p_rows) <> 'array' then
    raise exception 'rows come in an array' using errcode = '22023';
  end if;
  if jsonb_array_length(p_rows) > 1000 then
    raise exception 'a thousand rows at most: %', jsonb_array_length(p_rows) using errcode = '22023';
  end if;
end $$;

-- How many rows changed. Of rows with one key the newest counts. Sorted by key, so that two callers wait for each other
-- once only.
create function public.record_order_states(p_rows jsonb) returns integer
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_changed integer;
begin
  perform private.refuse_too_many(p_rows);
  insert into public.order_states as known (
    user_id, dhan_order_id, leg, trading_date, dhan_correlation_id, order_id, decision_id, instrument, symbol, side, product,
    order_type, status, status_word, quantity, filled, filled_value_paise, price_paise, trigger_paise, updated_at, reason,
    version)
  select distinct on (given.user_id, given.dhan_order_id, given.leg)
    given.user_id, given.dhan_order_id, given.leg, given.trading_date, coalesce(given.dhan_correlation_id, ''),
    claim.order_id, claim.decision_id, given.instrument, coalesce(given.symbol, ''), given.side, given.product,
    coalesce(given.order_type, ''), given.status, given.status_word, given.quantity, coalesce(given.filled, 0),
    coalesce(given.filled_value_paise, 0), coalesce(given.price_paise, 0), coalesce(given.trigger_paise, 0),
    given.updated_at, coalesce(given.reason, ''), given.version
  from jsonb_to_recordset(p_rows) as given (
    user_id uuid, dhan_order_id text, leg text, trading_date date, dhan_correlation_id text, instrument text, symbol text,
    side text, product text, order_type text, status text, status_word text, quantity bigint, filled bigint,
    filled_value_paise bigint, price_paise bigint, trigger_paise bigint, updated_at timestamptz, reason text,
    version bigint)
  left join private.order_claims as claim
    on claim.user_id = given.user_id and claim.correlation_id = given.dhan_correlation_id
  order by given.user_id, given.dhan_order_id, given.leg, given.version desc
  on conflict (user_id, dhan_order_id, leg) do update set
    trading_date = excluded.trading_date, dhan_correlation_id = excluded.dhan_correlation_id,
    order_id = excluded.order_id, decision_id = excluded.decision_id, instrument = excluded.instrument,
    symbol = excluded.symbol, side = excluded.side, product = excluded.product, order_type = excluded.order_type,
    status = excluded.status, status_word = excluded.status_word, quantity = excluded.quantity, filled = excluded.filled,
    filled_value_paise = excluded.filled_value_paise, price_paise = excluded.price_paise,
    trigger_paise = excluded.trigger_paise, updated_at = excluded.updated_at, reason = excluded.reason,
    version = excluded.version, recorded_at = clock_timestamp()
  where known.version < excluded.version;
  get diagnostics v_changed = row_count;
  return v_changed;
end $$;

-- As above. Of a fill that is known only its charges change.
create function public.record_trades(p_rows jsonb) returns integer
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_changed integer;
begin
  perform private.refuse_too_many(p_rows);
  insert into public.trades as known (
    user_id, dhan_order_id, trade_id, trading_date, instrument, symbol, side, product, quantity, price_paise, traded_at,
    charges_paise, version)
  select distinct on (given.user_id, given.dhan_order_id, given.trade_id)
    given.user_id, given.dhan_order_id, given.trade_id, given.trading_date, given.instrument, coalesce(given.symbol, ''),
    given.side, given.product, given.quantity, given.price_paise, given.traded_at, given.charges_paise, given.version
  from jsonb_to_recordset(p_rows) as given (
    user_id uuid, dhan_order_id text, trade_id text, trading_date date, instrument text, symbol text, side text,
    product text, quantity bigint, price_paise bigint, traded_at timestamptz, charges_paise bigint, version bigint)
  order by given.user_id, given.dhan_order_id, given.trade_id, given.version desc
  on conflict (user_id, dhan_order_id, trade_id) do update set
    charges_paise = excluded.charges_paise, version = excluded.version, recorded_at = clock_timestamp()
  where known.version < excluded.version;
  get diagnostics v_changed = row_count;
  return v_changed;
end $$;

create function public.record_positions(p_rows jsonb) returns integer
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_changed integer;
begin
  perform private.refuse_too_many(p_rows);
  insert into public.positions as known (
    user_id, trading_date, instrument, symbol, bought, bought_value_paise, sold, sold_value_paise, net, realised_paise,
    charges_paise, resting_stop, unprotected_ms, closed_by, by_trades, agrees, version)
  select distinct on (given.user_id, given.trading_date, given.instrument)
    given.user_id, given.trading_date, given.instrument, coalesce(given.symbol, ''), given.bought,
    given.bought_value_paise, given.sold, given.sold_value_paise, given.net, given.realised_paise, given.charges_paise,
    given.resting_stop, coalesce(given.unprotected_ms, 0), given.closed_by, given.by_trades, given.agrees, given.version
  from jsonb_to_recordset(p_rows) as given (
    user_id uuid, trading_date date, instrument text, symbol text, bought bigint, bought_value_paise bigint, sold bigint,
    sold_value_paise bigint, net bigint, realised_paise bigint, charges_paise bigint, resting_stop bigint,
    unprotected_ms bigint, closed_by text, by_trades boolean, agrees boolean, version bigint)
  order by given.user_id, given.trading_date, given.instrument, given.version desc
  on conflict (user_id, trading_date, instrument) do update set
    symbol = excluded.symbol, bought = excluded.bought, bought_value_paise = excluded.bought_value_paise,
    sold = excluded.sold, sold_value_paise = excluded.sold_value_paise, net = excluded.net,
    realised_paise = excluded.realised_paise, charges_paise = excluded.charges_paise,
    resting_stop = excluded.resting_stop, unprotected_ms = excluded.unprotected_ms, closed_by = excluded.closed_by,
    by_trades = excluded.by_trades, agrees = excluded.agrees, version = excluded.version,
    recorded_at = clock_timestamp()
  where known.version < excluded.version;
  get diagnostics v_changed = row_count;
  return v_changed;
end $$;

revoke execute on function private.refuse_too_many from public, anon, authenticated, service_role;
revoke execute on function public.record_order_states, public.record_trades, public.record_positions
  from public, anon, authenticated, service_role;
grant execute on function public.record_order_states, public.record_trades, public.record_positions to service_role;
