-- A token that Dhan refused is handed out for no further order until its user connects again.
--
-- Each storing of a token gives it a version, a number that is never used twice. Whoever was handed the token was told its
-- version, and a refusal names that: the token itself never comes back, and a refusal that arrives after the user has
-- connected again hits nothing. The switch stays as its user set it.

create table private.stored_tokens (
  user_id uuid primary key references auth.users (id) on delete cascade,
  version bigint generated always as identity,
  stored_at timestamptz not null default clock_timestamp(),
  -- Set together, by the first who was refused.
  refused_at timestamptz,
  refused_code text,
  constraint a_refusal_has_its_code check ((refused_at is null) = (refused_code is null))
);
comment on table private.stored_tokens is
  'Which storing of a Dhan token is in force, and whether Dhan has refused it. Never the token.';
alter table private.stored_tokens enable row level security;
revoke all on private.stored_tokens from public, anon, authenticated, service_role;
insert into private.stored_tokens (user_id) select user_id from public.user_trading_keys;

-- Also when the same token is stored again: Dhan may have refused it by mistake.
create function private.stamp_token() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into private.stored_tokens (user_id) values (new.user_id)
  on conflict (user_id) do update set
    version = default, stored_at = excluded.stored_at, refused_at = null, refused_code = null;
  return null;
end $$;

create trigger tokens_are_stamped after insert or update of dhan_access_token on public.user_trading_keys
  for each row execute function private.stamp_token();

alter table private.key_audit drop constraint key_audit_action_check;
alter table private.key_audit add constraint key_audit_action_check
  check (action in ('stored', 'deleted', 'claimed', 'reconciled', 'refused'));

create function private.token_is_refused(p_user uuid) returns boolean
language sql volatile set search_path = '' as $$
  select exists (select from private.stored_tokens where user_id = p_user and refused_at is not null)
$$;

-- Dhan refused this version of the user's token, with this code. Idempotent; true when it is the version in force.
create function public.refuse_token(p_user uuid, p_token_version bigint, p_code text) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
  update private.stored_tokens
  set refused_at = clock_timestamp(), refused_code = coalesce(nullif(left(p_code, 100), ''), 'unknown')
  where user_id = p_user and version = p_token_version and refused_at is null;
  if found then
    perform private.audit_key(p_user, 'refused');
  end if;
  return exists (select from private.stored_tokens where user_id = p_user and version = p_token_version);
end $$;

-- Everybody's keys without their tokens, a thousand after `p_after`.
create function public.trading_keys(p_after uuid default null) returns table (
  user_id uuid, dhan_client_id text, is_trading_enabled boolean, token_expiry timestamptz, token_refused boolean
)
language sql volatile security definer set search_path = '' as $$
  select keys.user_id, keys.dhan_client_id, keys.is_trading_enabled, keys.token_expiry, token.refused_at is not null
  from public.user_trading_keys as keys join private.stored_tokens as token on token.user_id = keys.user_id
  where p_after is null or keys.user_id > p_after
  order by keys.user_id limit 1000
$$;

-- As before, and a refused token gives no claim. Who claims is told the token's version.
create or replace function public.claim_order(
  p_user uuid, p_decision uuid, p_order uuid, p_correlation_id text, p_terms jsonb default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_keys public.user_trading_keys;
  v_claim private.order_claims;
  v_decision public.trade_decisions;
  v_refusal text;
begin
  if p_correlation_id is null or p_correlation_id !~ '^[A-Za-z0-9_-]{1,30}$' then
    raise exception 'not a Dhan correlation id: expected 1 to 30 letters, digits, - or _' using errcode = '22023';
  end if;
  -- Exclusive and not shared: claims of one user queue behind each other and behind a switch-off, so neither starves.
  select * into v_keys from public.user_trading_keys where user_id = p_user for no key update;
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if not found then
    select * into v_decision from public.trade_decisions where id = p_decision;
    if found and (v_decision.action <> p_terms ->> 'side' or v_decision.symbol <> p_terms ->> 'symbol') then
      return jsonb_build_object('status', 'differs', 'action', v_decision.action, 'symbol', v_decision.symbol);
    end if;
    v_refusal := case
      when v_keys.user_id is not null and not v_keys.is_trading_enabled then 'switched_off'
      else coalesce(
        private.token_refusal(v_keys), case when private.token_is_refused(p_user) then 'token_refused' end)
    end;
    if v_refusal is not null then
      return jsonb_build_object('status', 'refused', 'reason', v_refusal);
    end if;
    -- A denial may be settled at this very moment, without the lock above: then it waits here and finds the row taken.
    -- One at a time for this pair: beside the primary key, order_id is unique too, and a clash there would be an error.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
    insert into private.order_claims (user_id, decision_id, order_id, correlation_id, claimed_at, terms)
    values (p_user, p_decision, p_order, p_correlation_id, clock_timestamp(), p_terms)
    on conflict (user_id, decision_id) do nothing;
    if found then
      perform private.audit_key(p_user, 'claimed', p_decision);
      return jsonb_build_object(
        'status', 'claimed', 'dhan_client_id', v_keys.dhan_client_id,
        'access_token', v_keys.dhan_access_token, 'token_expiry', v_keys.token_expiry,
        'token_version', (select version from private.stored_tokens where user_id = p_user));
    end if;
    select * into strict v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  end if;
  return jsonb_build_object(
    'status', 'taken', 'age_ms', private.claim_age_ms(v_claim.recorded_at), 'correlation_id', v_claim.correlation_id,
    'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id, 'reason', v_claim.reason, 'terms', v_claim.terms);
end $$;

-- As before, with the token's version. A refused token is still handed out here: a lookup places nothing, and an order that
-- may exist is worth another question while its lease runs.
create or replace function public.reconcile_order(p_user uuid, p_decision uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_keys public.user_trading_keys;
  v_claim private.order_claims;
  v_refusal text;
  v_version bigint;
begin
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if not found then
    return jsonb_build_object('status', 'absent');
  elsif v_claim.outcome is not null then
    return jsonb_build_object(
      'status', 'settled', 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id,
      'reason', v_claim.reason, 'correlation_id', v_claim.correlation_id, 'terms', v_claim.terms);
  end if;
  -- The version before the token: when another one is stored in between, a refusal of it hits nothing instead of
  -- a token that nobody tried.
  select version into v_version from private.stored_tokens where user_id = p_user;
  select * into v_keys from public.user_trading_keys where user_id = p_user;
  v_refusal := private.token_refusal(v_keys);
  if v_refusal is not null then
    return jsonb_build_object('status', 'refused', 'reason', v_refusal);
  end if;
  perform private.audit_key(p_user, 'reconciled', p_decision);
  return jsonb_build_object(
    'status', 'open', 'dhan_client_id', v_keys.dhan_client_id, 'access_token', v_keys.dhan_access_token,
    'correlation_id', v_claim.correlation_id, 'age_ms', private.claim_age_ms(v_claim.claimed_at),
    'token_version', v_version);
end $$;

-- As before, and a token that Dhan refused does not live. As its owner: the user may not look into private.
create or replace function private.refuse_switch_without_token() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if new.dhan_access_token is null then
    raise exception 'trading cannot be switched on: no Dhan account is connected'
      using errcode = 'P0001', hint = 'Connect your Dhan account first.';
  elsif new.token_expiry <= clock_timestamp() then
    raise exception 'trading cannot be switched on: the Dhan token expired at %', new.token_expiry
      using errcode = 'P0001', hint = 'Connect your Dhan account again.';
  elsif private.token_is_refused(new.user_id) then
    raise exception 'trading cannot be switched on: Dhan refused the token'
      using errcode = 'P0001', detail = 'connection_refused', hint = 'Connect your Dhan account again.';
  end if;
  return new;
end $$;

-- As before, and whether Dhan has refused the stored token.
create or replace function public.own_doubts() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object(
    'token_doubted', exists (
      select from private.token_doubts as doubt join public.user_trading_keys as keys on keys.user_id = doubt.user_id
      where doubt.user_id = private.signed_in_user() and keys.dhan_access_token is not null),
    'token_refused', private.token_is_refused(private.signed_in_user()),
    'mode_changed', coalesce((
      select consent.ended_at is not null from private.switch_consents as consent
      where consent.user_id = private.signed_in_user() order by consent.id desc limit 1), false))
$$;

revoke execute on function private.stamp_token, private.token_is_refused from public, anon, authenticated, service_role;
revoke execute on function public.refuse_token, public.trading_keys from public, anon, authenticated, service_role;
grant execute on function public.refuse_token, public.trading_keys to service_role;
