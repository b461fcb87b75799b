-- Why an order left or did not: what the gate saw stands in the claim's terms, under `evidence`, and is told from there.
--
-- What it saw before the claim comes with the terms. What it saw last, its verdict, and the broker's answer come with the
-- outcome, under `evidence.judgement`. Where that is missing nobody wrote it down: the process died before.

alter table private.order_claims
  add constraint terms_are_bounded check (length(terms::text) <= 16384);
comment on column private.order_claims.terms is
  'What the first intent of this (user, decision) ordered, and why it left or did not.';

-- The last judgement of a claim without outcome. Nothing where there is no evidence it could belong to.
create function public.keep_judgement(p_user uuid, p_decision uuid, p_order uuid, p_judgement jsonb) returns void
language sql volatile security definer set search_path = '' as $$
  update private.order_claims set terms = jsonb_set(terms, '{evidence,judgement}', p_judgement)
  where user_id = p_user and decision_id = p_decision and order_id = p_order and outcome is null
    and terms ? 'evidence' and p_judgement is not null
$$;

-- As record_order_outcome, with the judgement that led to it.
create function public.record_judged_outcome(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text, p_reason text, p_judgement jsonb
) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select public.keep_judgement(p_user, p_decision, p_order, p_judgement);
  select public.record_order_outcome(p_user, p_decision, p_order, p_outcome, p_dhan_order_id, p_reason, null)
$$;

revoke execute on function public.keep_judgement, public.record_judged_outcome
  from public, anon, authenticated, service_role;
grant execute on function public.keep_judgement, public.record_judged_outcome to service_role;
