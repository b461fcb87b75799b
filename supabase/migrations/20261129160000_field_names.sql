-- In this field a settlement is the exchange of cash and shares on T+1. What is recorded here is an order's outcome.
alter function public.settle_order(uuid, uuid, uuid, text, text, text, jsonb) rename to record_order_outcome;

-- The old name, for order workers of an older version that run while a new one is rolled out.
create function public.settle_order(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text default null,
  p_reason text default null, p_terms jsonb default null
) returns jsonb
language sql security definer set search_path = '' as $$
  select public.record_order_outcome(p_user, p_decision, p_order, p_outcome, p_dhan_order_id, p_reason, p_terms)
$$;
revoke execute on function public.settle_order from public, anon, authenticated, service_role;
grant execute on function public.settle_order to service_role;
