-- A halt: no order that opens or enlarges a position is claimed while one is in force, for one user or for everybody.
-- Orders that only close always pass.
--
-- A row is added, and changes once, when it is lifted. An operator lifts an operator's halts, a user the halt that they
-- set themselves; neither ends the other's.

create table public.trading_halts (
  id bigint generated always as identity primary key,
  user_id uuid references auth.users (id) on delete restrict,  -- null: everybody
  own boolean not null,  -- the user set it themselves
  halted_by text not null check (length(halted_by) between 1 and 100),
  reason text not null check (length(reason) between 1 and 500),
  flatten boolean not null,  -- positions are to be closed
  broker_kill boolean not null,  -- once flat, Dhan's own kill switch is to be set
  since timestamptz not null default clock_timestamp(),
  lifted_at timestamptz,
  lifted_by text check (length(lifted_by) between 1 and 100),
  lift_reason text check (length(lift_reason) between 1 and 500),
  constraint own_names_its_user check (not own or user_id is not null),
  constraint lifted_by_somebody check (num_nonnulls(lifted_at, lifted_by, lift_reason) in (0, 3))
);
comment on table public.trading_halts is 'Who halted whose trading, why, and who lifted it. In force while lifted_at is null.';
create index trading_halts_user_id on public.trading_halts (user_id, id);
create index trading_halts_in_force on public.trading_halts (user_id) where lifted_at is null;

create trigger halts_stay before delete on public.trading_halts
  for each row execute function private.refuse_rewriting();
create trigger halts_change_once before update on public.trading_halts
  for each row when (
    old.lifted_at is not null
    or (old.id, old.user_id, old.own, old.halted_by, old.reason, old.flatten, old.broker_kill, old.since)
      is distinct from (new.id, new.user_id, new.own, new.halted_by, new.reason, new.flatten, new.broker_kill, new.since))
  execute function private.refuse_rewriting();

alter table public.trading_halts enable row level security;
revoke all on public.trading_halts from public, anon, authenticated, service_role;
-- A user reads why and since when, not which of the operators it was.
grant select (id, user_id, own, reason, flatten, broker_kill, since, lifted_at) on public.trading_halts to authenticated;
grant select on public.trading_halts to service_role;
create policy halts_of_everybody_and_own_are_read on public.trading_halts for select to authenticated
  using (user_id is null or user_id = (select auth.uid()));

-- Claims hold it shared, a halt takes it alone: a claim is wholly before the halt, or sees it. One of a user's own key, so
-- that nobody's halt keeps another waiting.
create function private.halt_key(p_user uuid) returns bigint
language sql immutable set search_path = '' as $$
  select pg_catalog.hashtextextended('trading_halts ' || coalesce(p_user::text, ''), 0)
$$;

-- Half a second at most, then the halt comes into force without it: a claim that hangs must not keep trading alive.
create function private.wait_for_claims(p_user uuid) returns void
language plpgsql volatile set search_path = '' set lock_timeout = '500ms' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock(private.halt_key(p_user));
exception when lock_not_available then
  raise warning 'a claim hangs; the halt does not wait for it';
end $$;

-- Adds a halt, unless one that asks for as much is in force already.
create function private.halt(
  p_user uuid, p_own boolean, p_by text, p_reason text, p_flatten boolean, p_broker_kill boolean
) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_halt public.trading_halts;
  v_first boolean;
begin
  perform private.wait_for_claims(p_user);
  select * into v_halt from public.trading_halts
  where user_id is not distinct from p_user and own = p_own and lifted_at is null
    and flatten >= p_flatten and broker_kill >= p_broker_kill
  order by id limit 1;
  v_first := not found;
  if v_first then
    insert into public.trading_halts (user_id, own, halted_by, reason, flatten, broker_kill)
    values (p_user, p_own, p_by, p_reason, p_flatten, p_broker_kill)
    returning * into v_halt;
  end if;
  return jsonb_build_object('id', v_halt.id, 'since', v_halt.since, 'first', v_first);
end $$;

-- `p_user` null: everybody.
create function public.halt_trading(
  p_user uuid, p_by text, p_reason text, p_flatten boolean default false, p_broker_kill boolean default false
) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select private.halt(p_user, false, p_by, p_reason, p_flatten, p_broker_kill)
$$;

-- How many halts were lifted. Users' own stay.
create function public.lift_halt(p_user uuid, p_by text, p_reason text) returns integer
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_lifted integer;
begin
  update public.trading_halts set lifted_at = clock_timestamp(), lifted_by = p_by, lift_reason = p_reason
  where user_id is not distinct from p_user and not own and lifted_at is null;
  get diagnostics v_lifted = row_count;
  return v_lifted;
end $$;

-- Halting is never refused, as switching off is not. Closing positions asks for a session that lives.
create function public.halt_own_trading(p_flatten boolean default false) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user constant uuid := case when p_flatten then private.writing_user() else private.signed_in_user() end;
begin
  return private.halt(v_user, true, 'user', 'halted by the user', coalesce(p_flatten, false), false);
end $$;

-- Twenty a day: each halt leaves a row for ever, and lifting is what makes room for the next.
create function public.lift_own_halt() returns boolean
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
begin
  perform private.wait_for_claims(v_user);
  if (select count(*) >= 20 from public.trading_halts
      where user_id = v_user and own and lifted_at > clock_timestamp() - interval '1 day') then
    raise exception 'too many halts in one day' using errcode = 'P0001', detail = 'too_often',
      hint = 'Wait until tomorrow.';
  end if;
  update public.trading_halts
  set lifted_at = clock_timestamp(), lifted_by = 'user', lift_reason = 'lifted by the user'
  where user_id = v_user and own and lifted_at is null;
  return found;
end $$;

-- For order workers, twice a second. `halts` has one entry a user (null: everybody), or is null when they are those that
-- `p_known` names.
create function public.halts_in_force(p_known text default null) returns jsonb
language sql volatile security definer set search_path = '' as $$
  with halt as (
    select user_id, max(id) as id, bool_or(flatten) as flatten, bool_or(broker_kill) as broker_kill, min(since) as since,
      (array_agg(reason order by id))[1] as reason
    from public.trading_halts where lifted_at is null group by user_id
  ), known as (
    select md5(coalesce(string_agg(id::text, ',' order by id), '')) as digest
    from public.trading_halts where lifted_at is null
  )
  select jsonb_build_object(
    'digest', known.digest,
    'halts', case when known.digest is distinct from p_known then
      (select coalesce(jsonb_agg(to_jsonb(halt) order by halt.id), '[]'::jsonb) from halt) end)
  from known
$$;

-- To be asked as the last thing before a claim: its locks are held until the claim's transaction ends.
create function private.is_halted(p_user uuid) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock_shared(private.halt_key(null));
  perform pg_catalog.pg_advisory_xact_lock_shared(private.halt_key(p_user));
  return exists (
    select from public.trading_halts where lifted_at is null and (user_id is null or user_id = p_user));
end $$;

alter table private.order_claims add column closes boolean not null default false;
comment on column private.order_claims.closes is
  'The order worker said that the order only makes a position smaller: it passed a switch that was off, and halts.';

-- As before; and no claim during a halt. `p_closes`: the order only makes a position smaller. Neither a halt nor the switch
-- keeps anybody in a position.
drop function public.claim_order(uuid, uuid, uuid, text, jsonb);
create function public.claim_order(
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
        private.token_refusal(v_keys), case when private.token_is_refused(p_user) then 'token_refused' end)
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

revoke execute on function private.halt_key, private.wait_for_claims, private.halt, private.is_halted
  from public, anon, authenticated, service_role;
revoke execute on function public.halt_trading, public.lift_halt, public.halts_in_force, public.halt_own_trading,
  public.lift_own_halt, public.claim_order from public, anon, authenticated, service_role;
grant execute on function public.halt_trading, public.lift_halt, public.halts_in_force, public.claim_order to service_role;
grant execute on function public.halt_own_trading, public.lift_own_halt to authenticated;
