-- A claim holds what was ordered, and is given only for what the decision says.
--
-- The same decision read again under changed limits makes another intent of the same id: other quantity, other price. What
-- was written first counts: executions are told from the claim's `terms`, so they have the same bytes for ever.

alter table private.order_claims
  -- event_time (ns), instrument, symbol, side, quantity (units), price (paise). Null: written before this migration.
  add column terms jsonb,
  add constraint terms_are_an_order check (terms is null or (
    terms ->> 'side' in ('BUY', 'SELL') and (terms ->> 'quantity')::bigint > 0 and (terms ->> 'price')::bigint > 0
    and (terms ->> 'event_time')::bigint > 0
    and length(terms ->> 'symbol') between 1 and 100 and length(terms ->> 'instrument') between 1 and 24));
comment on column private.order_claims.terms is 'What the first intent of this (user, decision) ordered.';

-- As before, and `differs` when the decision in the database is not what the intent says it is: another action (HOLD is
-- always another), another symbol. Nothing is written then. Without terms (an order worker of an older version) nothing is
-- compared.
drop function public.claim_order(uuid, uuid, uuid, text);
create function public.claim_order(
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
    v_refusal := case when v_keys.user_id is not null and not v_keys.is_trading_enabled then 'switched_off'
      else private.token_refusal(v_keys) end;
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
        'access_token', v_keys.dhan_access_token, 'token_expiry', v_keys.token_expiry);
    end if;
    select * into strict v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  end if;
  return jsonb_build_object(
    'status', 'taken', 'age_ms', private.claim_age_ms(v_claim.recorded_at), 'correlation_id', v_claim.correlation_id,
    'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id, 'reason', v_claim.reason, 'terms', v_claim.terms);
end $$;

-- As before; a denial that was never claimed brings its terms with it.
drop function public.settle_order(uuid, uuid, uuid, text, text, text);
create function public.settle_order(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text default null,
  p_reason text default null, p_terms jsonb default null
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
    (user_id, decision_id, order_id, correlation_id, claimed_at, outcome, dhan_order_id, reason, settled_at, terms)
  values (
    p_user, p_decision, p_order, v_claim.correlation_id, v_claim.claimed_at, p_outcome, p_dhan_order_id, p_reason,
    clock_timestamp(), p_terms)
  on conflict (user_id, decision_id) do update set
    outcome = excluded.outcome, dhan_order_id = excluded.dhan_order_id, reason = excluded.reason,
    settled_at = excluded.settled_at, terms = coalesce(claim.terms, excluded.terms)
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
    'first', v_first, 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id, 'reason', v_claim.reason,
    'terms', v_claim.terms);
end $$;

-- As before, with the terms of a settled order.
create or replace function public.reconcile_order(p_user uuid, p_decision uuid) returns jsonb
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
      'reason', v_claim.reason, 'correlation_id', v_claim.correlation_id, 'terms', v_claim.terms);
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

revoke execute on function public.claim_order, public.settle_order from public, anon, authenticated, service_role;
grant execute on function public.claim_order, public.settle_order to service_role;
