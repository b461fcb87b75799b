-- The executors' side: claim an order, settle it, reconcile what stayed open.
--
-- At most one order per (user, decision): the primary key of private.order_claims. None after the switch is off:
-- claim_order locks the user's keys row and reads the switch from the locked row, so a claim is either wholly before the
-- update that switches off (which then waits for it, milliseconds) or sees it.
-- Where the guarantee stops: an order claimed just before may still be on its way to Dhan when the switch goes off.
--
-- Time is clock_timestamp(), read after the lock is held: now() is the start of the transaction, and a token may expire
-- while a claim waits.

create function private.claim_age_ms(p_since timestamptz) returns bigint
language sql volatile set search_path = '' as $$
  select floor(extract(epoch from clock_timestamp() - p_since) * 1000)::bigint
$$;

-- Why `p_keys` gives no usable token, or null when it does.
create function private.token_refusal(p_keys public.user_trading_keys) returns text
language sql volatile set search_path = '' as $$
  select case
    when (p_keys).user_id is null then 'no_account'
    when (p_keys).dhan_access_token is null then 'no_token'
    when (p_keys).token_expiry <= clock_timestamp() then 'token_expired'
  end
$$;

create function public.claim_order(p_user uuid, p_decision uuid, p_order uuid, p_correlation_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_keys public.user_trading_keys;
  v_claim private.order_claims;
  v_refusal text;
begin
  if p_correlation_id is null or p_correlation_id !~ '^[A-Za-z0-9_-]{1,30}$' then
    raise exception 'not a Dhan correlation id: expected 1 to 30 letters, digits, - or _' using errcode = '22023';
  end if;
  -- Exclusive and not shared: claims of one user queue behind each other and behind a switch-off, so neither starves.
  select * into v_keys from public.user_trading_keys where user_id = p_user for no key update;
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if not found then
    v_refusal := case when v_keys.user_id is not null and not v_keys.is_trading_enabled then 'switched_off'
      else private.token_refusal(v_keys) end;
    if v_refusal is not null then
      return jsonb_build_object('status', 'refused', 'reason', v_refusal);
    end if;
    -- A denial may be settled at this very moment, without the lock above: then it waits here and finds the row taken.
    -- One at a time for this pair: beside the primary key, order_id is unique too, and a clash there would be an error.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
    insert into private.order_claims (user_id, decision_id, order_id, correlation_id, claimed_at)
    values (p_user, p_decision, p_order, p_correlation_id, clock_timestamp())
    on conflict (user_id, decision_id) do nothing;
    if found then
      perform private.audit_key(p_user, 'claimed', p_decision);
      return jsonb_build_object(
        'status', 'claimed', 'dhan_client_id', v_keys.dhan_client_id,
        'access_token', v_keys.dhan_access_token, 'token_expiry', v_keys.token_expiry);
    end if;
    select * into strict v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  end if;
  return jsonb_build_object(
    'status', 'taken', 'age_ms', private.claim_age_ms(v_claim.recorded_at), 'correlation_id', v_claim.correlation_id,
    'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id, 'reason', v_claim.reason);
end $$;

-- Idempotent: the first call decides and writes the one log row; later calls, whatever they say, get the record back.
create function public.settle_order(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text default null,
  p_reason text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_claim private.order_claims;
  v_first boolean;
begin
  if p_outcome is null or p_outcome not in ('accepted', 'rejected', 'denied', 'not_found') then
    raise exception 'not an outcome: %', p_outcome using errcode = '22023';
  end if;
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if p_outcome <> 'denied' and v_claim.claimed_at is null and v_claim.outcome is null then
    raise exception 'an order that was never claimed cannot be %', p_outcome using errcode = '22023';
  end if;
  -- Check constraints judge the proposed row before the conflict is seen, so it repeats what the claim already holds.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
  insert into private.order_claims as claim
    (user_id, decision_id, order_id, correlation_id, claimed_at, outcome, dhan_order_id, reason, settled_at)
  values (
    p_user, p_decision, p_order, v_claim.correlation_id, v_claim.claimed_at, p_outcome, p_dhan_order_id, p_reason,
    clock_timestamp())
  on conflict (user_id, decision_id) do update set
    outcome = excluded.outcome, dhan_order_id = excluded.dhan_order_id, reason = excluded.reason,
    settled_at = excluded.settled_at
  where claim.outcome is null
  returning * into v_claim;
  v_first := found;
  if v_first then
    perform private.log_outcome(v_claim);
  else
    select * into strict v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  end if;
  if v_claim.order_id <> p_order then
    raise exception 'user % and decision % belong to order %, not %', p_user, p_decision, v_claim.order_id, p_order
      using errcode = '22023';
  end if;
  return jsonb_build_object(
    'first', v_first, 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id, 'reason', v_claim.reason);
end $$;

create function private.log_outcome(p_claim private.order_claims) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.user_trade_logs (user_id, decision_id, dhan_order_id, status, failure_reason)
  values (
    p_claim.user_id, p_claim.decision_id, p_claim.dhan_order_id,
    case when p_claim.outcome = 'accepted' then 'SUCCESS' else 'FAILED' end,
    case when p_claim.outcome <> 'accepted' then coalesce(nullif(p_claim.reason, ''), p_claim.outcome) end);
  if p_claim.outcome = 'accepted' then
    update public.trade_decisions set is_executed = true where id = p_claim.decision_id and not is_executed;
  end if;
end $$;

-- Works while the switch is off: looking an order up places none. A dead token helps nobody and is refused.
create function public.reconcile_order(p_user uuid, p_decision uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_keys public.user_trading_keys;
  v_claim private.order_claims;
  v_refusal text;
begin
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if not found then
    return jsonb_build_object('status', 'absent');
  elsif v_claim.outcome is not null then
    return jsonb_build_object(
      'status', 'settled', 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id,
      'reason', v_claim.reason, 'correlation_id', v_claim.correlation_id);
  end if;
  select * into v_keys from public.user_trading_keys where user_id = p_user;
  v_refusal := private.token_refusal(v_keys);
  if v_refusal is not null then
    return jsonb_build_object('status', 'refused', 'reason', v_refusal);
  end if;
  perform private.audit_key(p_user, 'reconciled', p_decision);
  return jsonb_build_object(
    'status', 'open', 'dhan_client_id', v_keys.dhan_client_id, 'access_token', v_keys.dhan_access_token,
    'correlation_id', v_claim.correlation_id, 'age_ms', private.claim_age_ms(v_claim.claimed_at));
end $$;

-- Oldest first. Holds no token: each is fetched, and audited, one by one.
create function public.open_claims(p_min_age_ms integer) returns table (
  user_id uuid, decision_id uuid, order_id uuid, correlation_id text, age_ms bigint
)
language sql security definer set search_path = '' as $$
  select claim.user_id, claim.decision_id, claim.order_id, claim.correlation_id, private.claim_age_ms(claim.claimed_at)
  from private.order_claims as claim
  where claim.outcome is null and claim.claimed_at <= clock_timestamp() - p_min_age_ms * interval '1 millisecond'
  order by claim.claimed_at
$$;

revoke execute on all functions in schema private from public, anon, authenticated, service_role;
revoke execute on function public.claim_order, public.settle_order, public.reconcile_order, public.open_claims
  from public, anon, authenticated, service_role;
grant execute on function public.claim_order, public.settle_order, public.reconcile_order, public.open_claims
  to service_role;
