-- An outcome and the judgement that led to it change a claim's row once. Each change writes the row and its entries in seven
-- indexes anew, so two cost nearly twice as much.

create function private.record_outcome(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text, p_reason text, p_terms jsonb,
  p_judgement jsonb
) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_claim private.order_claims;
  v_first boolean;
begin
  if p_outcome is null or p_outcome not in ('accepted', 'rejected', 'denied', 'not_found') then
    raise exception 'not an outcome: %', p_outcome using errcode = '22023';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
  -- Nearly always: who claimed it says what came of it. Nothing of a judgement where there is no evidence it belongs to.
  update private.order_claims as claim set
    outcome = p_outcome, dhan_order_id = p_dhan_order_id, reason = p_reason, settled_at = clock_timestamp(),
    terms = case when p_judgement is not null and claim.terms ? 'evidence'
      then jsonb_set(claim.terms, '{evidence,judgement}', p_judgement) else claim.terms end
  where claim.user_id = p_user and claim.decision_id = p_decision and claim.order_id = p_order
    and claim.claimed_at is not null and claim.outcome is null and p_terms is null
  returning * into v_claim;
  v_first := found;
  if not v_first then
    select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
    if p_outcome <> 'denied' and v_claim.claimed_at is null and v_claim.outcome is null then
      raise exception 'an order that was never claimed cannot be %', p_outcome using errcode = '22023';
    end if;
    -- Check constraints judge the proposed row before the conflict is seen, so it repeats what the claim already holds.
    insert into private.order_claims as claim
      (user_id, decision_id, order_id, correlation_id, claimed_at, outcome, dhan_order_id, reason, settled_at, terms)
    values (
      p_user, p_decision, p_order, v_claim.correlation_id, v_claim.claimed_at, p_outcome, p_dhan_order_id, p_reason,
      clock_timestamp(), p_terms)
    on conflict (user_id, decision_id) do update set
      outcome = excluded.outcome, dhan_order_id = excluded.dhan_order_id, reason = excluded.reason,
      settled_at = excluded.settled_at, terms = coalesce(claim.terms, excluded.terms)
    -- Who brings terms never claimed. Another has meanwhile, and may have sent the order.
    where claim.outcome is null and not (p_outcome = 'denied' and p_terms is not null and claim.claimed_at is not null)
    returning * into v_claim;
    v_first := found;
  end if;
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
revoke execute on function private.record_outcome from public, anon, authenticated, service_role;

create or replace function public.record_order_outcome(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text default null,
  p_reason text default null, p_terms jsonb default null
) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select private.record_outcome(p_user, p_decision, p_order, p_outcome, p_dhan_order_id, p_reason, p_terms, null)
$$;

create or replace function public.record_judged_outcome(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text, p_reason text, p_judgement jsonb
) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select private.record_outcome(p_user, p_decision, p_order, p_outcome, p_dhan_order_id, p_reason, null, p_judgement)
$$;

-- As before.
create or replace function public.record_order_outcomes(p_outcomes jsonb) returns jsonb
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
    v_answers[v_place] := private.record_outcome(
      v_user, v_decision, (v_one ->> 'p_order')::uuid, v_one ->> 'p_outcome', v_one ->> 'p_dhan_order_id',
      v_one ->> 'p_reason', nullif(v_one -> 'p_terms', 'null'), nullif(v_one -> 'p_judgement', 'null'));
  end loop;
  return to_jsonb(v_answers);
end $$;
