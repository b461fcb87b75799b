-- An order whose fate nobody knows yet has a place of its own: an order worker that leaves one here goes on with the next
-- intent, and owes no message any more. Whoever looks the order up tells it, from the row: also after the death of who left
-- it. The row goes when the message is on ats.executions.

create table private.unresolved_orders (
  user_id uuid not null,
  decision_id uuid not null,
  intent text not null,  -- the record of ats.orders, and where it stands there
  partition integer not null,
  place bigint not null,
  left_at timestamptz not null default clock_timestamp(),
  held_until timestamptz not null default '-infinity',  -- until then somebody is looking it up
  primary key (user_id, decision_id),
  foreign key (user_id, decision_id) references private.order_claims (user_id, decision_id)
);
comment on table private.unresolved_orders is 'Orders that are being looked up, and those whose found outcome is not told yet.';
create index unresolved_orders_held_until on private.unresolved_orders (held_until);
alter table private.unresolved_orders enable row level security;

-- `left`, or `settled` with the outcome, which the caller tells itself, or `absent` without a claim.
create function public.leave_order(
  p_user uuid, p_decision uuid, p_intent text, p_partition integer, p_place bigint
) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_claim private.order_claims;
begin
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if not found then
    return jsonb_build_object('status', 'absent');
  elsif v_claim.outcome is not null then
    return jsonb_build_object(
      'status', 'settled', 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id,
      'reason', v_claim.reason, 'terms', v_claim.terms);
  end if;
  insert into private.unresolved_orders (user_id, decision_id, intent, partition, place)
  values (p_user, p_decision, p_intent, p_partition, p_place)
  on conflict (user_id, decision_id) do nothing;
  return jsonb_build_object('status', 'left');
end $$;

-- Up to `p_limit` orders that nobody is looking up, one a user, for the caller alone during `p_hold_ms`; who waited longest
-- comes first. With how many there are, and how long the oldest has been here. No token.
create function public.take_unresolved_orders(p_limit integer, p_hold_ms integer) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_orders jsonb;
begin
  with free as (
    select distinct on (waiting.user_id) waiting.user_id, waiting.decision_id, waiting.held_until
    from private.unresolved_orders as waiting
    where not exists (
      select from private.unresolved_orders as other
      where other.user_id = waiting.user_id and other.held_until > clock_timestamp())
    order by waiting.user_id, waiting.held_until, waiting.left_at
  ), due as (
    select * from free order by held_until limit p_limit
  ), taken as (
    update private.unresolved_orders as waiting set held_until = clock_timestamp() + p_hold_ms * interval '1 millisecond'
    from due
    where (waiting.user_id, waiting.decision_id) = (due.user_id, due.decision_id)
      and waiting.held_until = due.held_until  -- nobody was faster
    returning waiting.*
  )
  select jsonb_agg(jsonb_build_object(
    'intent', taken.intent, 'partition', taken.partition, 'place', taken.place,
    'left_ms', private.claim_age_ms(taken.left_at))) into v_orders
  from taken;
  return (
    select jsonb_build_object(
      'orders', coalesce(v_orders, '[]'::jsonb), 'waiting', count(*),
      'oldest_ms', private.claim_age_ms(min(left_at)))
    from private.unresolved_orders);
end $$;

-- Looked up for a while without an answer: anybody may go on.
create function public.release_unresolved_order(p_user uuid, p_decision uuid) returns void
language sql volatile security definer set search_path = '' as $$
  update private.unresolved_orders set held_until = clock_timestamp()
  where user_id = p_user and decision_id = p_decision
$$;

-- Kafka has acknowledged its message.
create function public.unresolved_order_told(p_user uuid, p_decision uuid) returns void
language sql volatile security definer set search_path = '' as $$
  delete from private.unresolved_orders where user_id = p_user and decision_id = p_decision
$$;

-- Nobody asks for all of them any more: whose intent was not told is delivered again, and left above.
drop function public.open_claims(integer);

-- Whether an order of `p_user` may be at Dhan or not, and nobody knows which.
create function private.has_unresolved_order(p_user uuid) returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select from private.unresolved_orders as waiting
    join private.order_claims as claim on (claim.user_id, claim.decision_id) = (waiting.user_id, waiting.decision_id)
    where waiting.user_id = p_user and claim.outcome is null)
$$;

-- As before; and no entry while an order of the user is unresolved: it may have opened what this one would double, or turn
-- over.
create or replace function public.claim_order(
  p_user uuid, p_decision uuid, p_order uuid, p_correlation_id text, p_terms jsonb default null,
  p_closes boolean default false
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_closes constant boolean := coalesce(p_closes, false);
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
      when v_keys.user_id is not null and not v_keys.is_trading_enabled and not v_closes then 'switched_off'
      else coalesce(
        private.token_refusal(v_keys), case when private.token_is_refused(p_user) then 'token_refused' end,
        case when not v_closes and private.has_unresolved_order(p_user) then 'order_unresolved' end)
    end;
    if v_refusal is not null then
      return jsonb_build_object('status', 'refused', 'reason', v_refusal);
    end if;
    -- A denial may be settled at this very moment, without the lock above: then it waits here and finds the row taken.
    -- One at a time for this pair: beside the primary key, order_id is unique too, and a clash there would be an error.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
    if not v_closes and private.is_halted(p_user) then
      return jsonb_build_object('status', 'refused', 'reason', 'halted');
    end if;
    insert into private.order_claims
      (user_id, decision_id, order_id, correlation_id, claimed_at, terms, dhan_client_id, closes)
    values (
      p_user, p_decision, p_order, p_correlation_id, clock_timestamp(), p_terms, v_keys.dhan_client_id, v_closes)
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

revoke execute on function private.has_unresolved_order from public, anon, authenticated, service_role;
revoke execute on function public.leave_order, public.take_unresolved_orders, public.release_unresolved_order,
  public.unresolved_order_told from public, anon, authenticated, service_role;
grant execute on function public.leave_order, public.take_unresolved_orders, public.release_unresolved_order,
  public.unresolved_order_told to service_role;
