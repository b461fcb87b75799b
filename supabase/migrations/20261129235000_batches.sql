-- Many users' orders of one decision in one round trip. Each claim, and each outcome, is still made by the function that
-- makes a single one, in the same transaction, and has the same answer.
--
-- A batch waits for nobody: whose locks somebody else holds at this moment is `busy`, and is asked about alone. So one user's
-- row that is held up delays no other user, and two batches never wait for each other in a circle.

-- Takes what a claim would take, if all of it is free: the user's keys row, the pair's lock, and the halts'.
create function private.take_claim_locks(p_user uuid, p_decision uuid) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  perform from public.user_trading_keys where user_id = p_user for no key update skip locked;
  if not found and exists (select from public.user_trading_keys where user_id = p_user) then
    return false;
  end if;
  return pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0))
    and pg_catalog.pg_try_advisory_xact_lock_shared(private.halt_key(null))
    and pg_catalog.pg_try_advisory_xact_lock_shared(private.halt_key(p_user));
end $$;

create function private.refuse_long_batch(p_batch jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_batch is null or jsonb_typeof(p_batch) <> 'array' or jsonb_array_length(p_batch) > 100 then
    raise exception 'not a batch: expected a list of 100 at most' using errcode = '22023';
  end if;
end $$;

-- `p_orders` holds the arguments of public.claim_order, by name; the answers come in the same order.
create function public.claim_orders(p_orders jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_answers jsonb[] := '{}';
  v_one jsonb;
  v_user uuid;
  v_decision uuid;
begin
  perform private.refuse_long_batch(p_orders);
  for v_one in select * from jsonb_array_elements(p_orders) loop
    v_user := v_one ->> 'p_user';
    v_decision := v_one ->> 'p_decision';
    v_answers := v_answers || case
      when private.take_claim_locks(v_user, v_decision) then public.claim_order(
        v_user, v_decision, (v_one ->> 'p_order')::uuid, v_one ->> 'p_correlation_id', v_one -> 'p_terms',
        (v_one ->> 'p_closes')::boolean)
      else jsonb_build_object('status', 'busy')
    end;
  end loop;
  return to_jsonb(v_answers);
end $$;

-- `p_outcomes` holds the arguments of public.record_order_outcome, by name, and `p_judgement` where there is one. In the
-- order of decisions: whose first order is accepted is updated, and a batch may wait for another's update.
create function public.record_order_outcomes(p_outcomes jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_answers jsonb[];
  v_one jsonb;
  v_place bigint;
  v_user uuid;
  v_decision uuid;
begin
  perform private.refuse_long_batch(p_outcomes);
  v_answers := array_fill(null::jsonb, array[jsonb_array_length(p_outcomes)]);
  for v_one, v_place in
    select value, ordinality from jsonb_array_elements(p_outcomes) with ordinality order by value ->> 'p_decision'
  loop
    v_user := v_one ->> 'p_user';
    v_decision := v_one ->> 'p_decision';
    if not pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(v_user::text || v_decision::text, 0))
      or not pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended('executed ' || v_decision, 0)) then
      v_answers[v_place] := jsonb_build_object('status', 'busy');
      continue;
    end if;
    if v_one ? 'p_judgement' then
      perform public.keep_judgement(v_user, v_decision, (v_one ->> 'p_order')::uuid, v_one -> 'p_judgement');
    end if;
    v_answers[v_place] := public.record_order_outcome(
      v_user, v_decision, (v_one ->> 'p_order')::uuid, v_one ->> 'p_outcome', v_one ->> 'p_dhan_order_id',
      v_one ->> 'p_reason', nullif(v_one -> 'p_terms', 'null'));
  end loop;
  return to_jsonb(v_answers);
end $$;

revoke execute on function private.take_claim_locks, private.refuse_long_batch
  from public, anon, authenticated, service_role;
revoke execute on function public.claim_orders, public.record_order_outcomes
  from public, anon, authenticated, service_role;
grant execute on function public.claim_orders, public.record_order_outcomes to service_role;
