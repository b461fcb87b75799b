-- Switching on means agreeing to terms: mode and limits, as the order workers report them. And a stored Dhan token can
-- be dead before its end: whoever logs in at Dhan again kills it, also when we could not store the new one.

-- Nothing is ever deleted: what a person agreed to, and when. The last row of a user counts.
create table private.switch_consents (
  id bigint generated always as identity primary key,
  user_id uuid not null,  -- no foreign key: the trail outlives the user
  -- Null: the owner of the database turned the switch.
  mode text check (mode in ('paper', 'self', 'family', 'empanelled')),
  -- What the person was told; null when the switch was turned without a word about it.
  terms jsonb,
  agreed_at timestamptz not null default clock_timestamp(),
  -- Set when order workers reported real money, or another kind of it, and the switch went off by itself.
  ended_at timestamptz
);
comment on table private.switch_consents is 'Each switching on, with the mode and limits that were stated.';
create index switch_consents_user_id on private.switch_consents (user_id, id);
alter table private.switch_consents enable row level security;
-- Whoever is on already was told nothing that we know of, so it counts for paper.
insert into private.switch_consents (user_id, mode)
select user_id, 'paper' from public.user_trading_keys where is_trading_enabled;

create function private.terms_of(p_platform jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select p_platform - 'alive' - 'reported_at'
$$;

-- Runs after private.refuse_switch_without_token: triggers fire by name. A person who states no terms, by a bare update
-- of the column, agrees to paper and to nothing else. The owner of the database, who has no user id, may do as they like.
create function private.refuse_switch_on_other_terms() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_stated constant jsonb := private.terms_of(nullif(current_setting('ats.stated_terms', true), '')::jsonb);
  v_platform jsonb;
begin
  if auth.uid() is null then
    insert into private.switch_consents (user_id) values (new.user_id);
    return new;
  end if;
  -- Against report_platform: a mode that begins now is either seen here, or sees this switch and turns it off.
  perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('platform_reports', 0));
  v_platform := public.platform_status();
  if v_platform is null then
    raise exception 'trading cannot be switched on: no order worker has reported its mode and limits'
      using errcode = 'P0001', detail = 'mode_unknown', hint = 'Start the order workers first.';
  elsif v_stated <> private.terms_of(v_platform) or v_stated is null and v_platform ->> 'mode' <> 'paper' then
    raise exception 'trading cannot be switched on: mode and limits are not those that were agreed to'
      using errcode = 'P0001', detail = 'terms_changed', hint = 'Read the mode and the limits that hold now.';
  end if;
  insert into private.switch_consents (user_id, mode, terms) values (new.user_id, v_platform ->> 'mode', v_stated);
  return new;
end $$;

create trigger switch_on_terms_by_insert before insert on public.user_trading_keys
  for each row when (new.is_trading_enabled) execute function private.refuse_switch_on_other_terms();
create trigger switch_on_terms_by_update before update on public.user_trading_keys
  for each row when (new.is_trading_enabled and not old.is_trading_enabled)
  execute function private.refuse_switch_on_other_terms();

-- Turn the own switch on, on the terms that the person was shown (`platform` of own_account). It runs as the caller: row
-- level security and the column's grant decide, as with a bare update. Null when no account was ever connected.
create function public.switch_trading_on(p_terms jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_on boolean;
begin
  perform pg_catalog.set_config(
    'ats.stated_terms', case when jsonb_typeof(p_terms) = 'object' then p_terms::text else '{}' end, true);
  update public.user_trading_keys set is_trading_enabled = true where user_id = (select auth.uid())
  returning is_trading_enabled into v_on;
  return v_on;
end $$;

-- As before, and real money trades nobody who agreed to something else: their switch goes off.
create or replace function public.report_platform(
  p_instance text, p_mode text, p_own_client_id text, p_max_order_value_rupees bigint, p_max_orders_per_day integer
) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('platform_reports', 0));
  insert into private.platform_reports
    (instance, mode, own_client_id, max_order_value_rupees, max_orders_per_day)
  values (p_instance, p_mode, p_own_client_id, p_max_order_value_rupees, p_max_orders_per_day)
  on conflict (instance) do update set
    mode = excluded.mode, own_client_id = excluded.own_client_id,
    max_order_value_rupees = excluded.max_order_value_rupees, max_orders_per_day = excluded.max_orders_per_day,
    reported_at = clock_timestamp();
  if p_mode <> 'paper' then
    perform private.end_consents_to_other_modes(p_mode, p_own_client_id);
  end if;
end $$;

create function private.end_consents_to_other_modes(p_mode text, p_own_client_id text) returns void
language sql volatile set search_path = '' as $$
  with consents as (
    select distinct on (user_id) id, user_id, mode from private.switch_consents order by user_id, id desc
  ), switched_off as (
    update public.user_trading_keys as keys set is_trading_enabled = false from consents
    where keys.user_id = consents.user_id and consents.mode <> p_mode and keys.is_trading_enabled
      and (p_own_client_id is null or keys.dhan_client_id = p_own_client_id)
    returning consents.id
  )
  update private.switch_consents set ended_at = clock_timestamp() where id in (select id from switched_off)
$$;

-- Written before Dhan is asked for a new token, which kills the old one; gone when a token is stored or deleted, or when
-- it turned out that Dhan made none.
create table private.token_doubts (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  since timestamptz not null default clock_timestamp()
);
comment on table private.token_doubts is 'Stored Dhan tokens that Dhan may have ended since.';
create index token_doubts_user_id on private.token_doubts (user_id);
alter table private.token_doubts enable row level security;

create function public.doubt_dhan_token() returns bigint
language sql volatile security definer set search_path = '' as $$
  insert into private.token_doubts (user_id) values (private.signed_in_user()) returning id
$$;

-- `p_minted_for`: Dhan made a token, but for this account. That ends the stored one only if it is of the same account.
create function public.trust_dhan_token(p_doubt bigint, p_minted_for text default null) returns void
language sql volatile security definer set search_path = '' as $$
  delete from private.token_doubts
  where id = p_doubt and user_id = private.signed_in_user() and not exists (
    select from public.user_trading_keys where user_id = private.signed_in_user() and dhan_client_id = p_minted_for)
$$;

create function private.end_doubts() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  delete from private.token_doubts where user_id = new.user_id;
  return null;
end $$;

create trigger doubts_end after insert or update of dhan_access_token on public.user_trading_keys
  for each row execute function private.end_doubts();

-- Two more facts of one's own: whether the stored token is in doubt, and whether a change of mode turned the switch off.
create function public.own_doubts() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object(
    'token_doubted', exists (
      select from private.token_doubts as doubt join public.user_trading_keys as keys on keys.user_id = doubt.user_id
      where doubt.user_id = private.signed_in_user() and keys.dhan_access_token is not null),
    'mode_changed', coalesce((
      select consent.ended_at is not null from private.switch_consents as consent
      where consent.user_id = private.signed_in_user() order by consent.id desc limit 1), false))
$$;

create or replace function public.own_account() returns jsonb
language sql volatile set search_path = '' as $$
  select public.own_connection_and_orders() || public.own_doubts()
    || jsonb_build_object('platform', public.platform_status())
$$;

revoke all on private.switch_consents, private.token_doubts from public, anon, authenticated, service_role;
revoke execute on function private.terms_of, private.refuse_switch_on_other_terms, private.end_consents_to_other_modes,
  private.end_doubts from public, anon, authenticated, service_role;
revoke execute on function public.switch_trading_on, public.doubt_dhan_token, public.trust_dhan_token, public.own_doubts
  from public, anon, authenticated, service_role;
grant execute on function public.switch_trading_on, public.doubt_dhan_token, public.trust_dhan_token, public.own_doubts
  to authenticated;
