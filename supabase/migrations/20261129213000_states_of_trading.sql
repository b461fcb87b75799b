-- One mechanism for three states of a user and of the platform. ACTIVE: no halt is in force. REDUCING: one is, and only what
-- closes is claimed. HALTED: one is that holds back all orders of decisions, closing ones too. Exits that no decision asks
-- for (stops, square-off, flatten) go on in each.
--
-- A halt may end by itself, at `until`: the day's loss halts a user until the next session.

alter table public.trading_halts
  add column all_orders boolean not null default false,  -- closing orders are held back too
  add column until timestamptz,  -- when it ends by itself; null: when it is lifted
  add constraint it_ends_after_it_began check (until > since);
grant select (all_orders, until) on public.trading_halts to authenticated;

create trigger halts_keep_their_kind_and_end before update on public.trading_halts
  for each row when ((old.all_orders, old.until) is distinct from (new.all_orders, new.until))
  execute function private.refuse_rewriting();

create function private.in_force(p_halt public.trading_halts) returns boolean
language sql volatile set search_path = '' as $$
  select (p_halt).lifted_at is null and ((p_halt).until is null or (p_halt).until > clock_timestamp())
$$;

-- Adds a halt, unless one that asks for as much, and as long, is in force already.
create function private.halt_until(
  p_user uuid, p_own boolean, p_by text, p_reason text, p_flatten boolean, p_broker_kill boolean, p_all_orders boolean,
  p_until timestamptz
) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_halt public.trading_halts;
  v_first boolean;
begin
  perform private.wait_for_claims(p_user);
  select halt.* into v_halt from public.trading_halts as halt
  where halt.user_id is not distinct from p_user and halt.own = p_own and private.in_force(halt)
    and halt.flatten >= p_flatten and halt.broker_kill >= p_broker_kill and halt.all_orders >= p_all_orders
    and coalesce(halt.until, 'infinity') >= coalesce(p_until, 'infinity')
  order by halt.id limit 1;
  v_first := not found;
  if v_first then
    insert into public.trading_halts (user_id, own, halted_by, reason, flatten, broker_kill, all_orders, until)
    values (p_user, p_own, p_by, p_reason, p_flatten, p_broker_kill, p_all_orders, p_until)
    returning * into v_halt;
  end if;
  return jsonb_build_object('id', v_halt.id, 'since', v_halt.since, 'first', v_first);
end $$;

-- As before: lets out what closes, until it is lifted.
create or replace function private.halt(
  p_user uuid, p_own boolean, p_by text, p_reason text, p_flatten boolean, p_broker_kill boolean
) returns jsonb
language sql volatile set search_path = '' as $$
  select private.halt_until(p_user, p_own, p_by, p_reason, p_flatten, p_broker_kill, false, null)
$$;

-- `p_user` null: everybody. `p_all_orders`: closing orders are held back too. `p_until` null: until it is lifted.
create function public.impose_halt(
  p_user uuid, p_by text, p_reason text, p_all_orders boolean default false, p_until timestamptz default null
) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select private.halt_until(p_user, false, p_by, p_reason, false, false, p_all_orders, p_until)
$$;

-- As before, of those that have not ended, and with their kind.
create or replace function public.halts_in_force(p_known text default null) returns jsonb
language sql volatile security definer set search_path = '' as $$
  with current as (
    select halt.* from public.trading_halts as halt where halt.lifted_at is null and private.in_force(halt)
  ), halt as (
    select user_id, max(id) as id, bool_or(flatten) as flatten, bool_or(broker_kill) as broker_kill, min(since) as since,
      (array_agg(reason order by id))[1] as reason, bool_or(all_orders) as all_orders
    from current group by user_id
  ), known as (
    select md5(coalesce(string_agg(id::text, ',' order by id), '')) as digest from current
  )
  select jsonb_build_object(
    'digest', known.digest,
    'halts', case when known.digest is distinct from p_known then
      (select coalesce(jsonb_agg(to_jsonb(halt) order by halt.id), '[]'::jsonb) from halt) end)
  from known
$$;

-- As before, of halts that have not ended.
create or replace function private.is_halted(p_user uuid) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock_shared(private.halt_key(null));
  perform pg_catalog.pg_advisory_xact_lock_shared(private.halt_key(p_user));
  return exists (
    select from public.trading_halts as halt
    where halt.lifted_at is null and (halt.user_id is null or halt.user_id = p_user) and private.in_force(halt));
end $$;

-- Whether a halt is in force that holds back all orders; the same locks.
create function private.is_stopped(p_user uuid) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock_shared(private.halt_key(null));
  perform pg_catalog.pg_advisory_xact_lock_shared(private.halt_key(p_user));
  return exists (
    select from public.trading_halts as halt
    where halt.lifted_at is null and (halt.user_id is null or halt.user_id = p_user) and private.in_force(halt)
      and halt.all_orders);
end $$;

-- As before; a halt of all orders holds back what closes too. public.claim_order calls it.
create or replace function private.claim_order(
  p_user uuid, p_decision uuid, p_order uuid, p_correlation_id text, p_terms jsonb default null,
  p_closes boolean default false
) returns jsonb
language plpgsql volatile set search_path = '' as $$
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
    if private.is_stopped(p_user) then
      return jsonb_build_object('status', 'refused', 'reason', 'stopped');
    elsif not v_closes and private.is_halted(p_user) then
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

revoke execute on function private.in_force, private.halt_until, private.is_stopped
  from public, anon, authenticated, service_role;
revoke execute on function public.impose_halt from public, anon, authenticated, service_role;
grant execute on function public.impose_halt to service_role;
