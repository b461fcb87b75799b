-- For the page: what halts the caller's trading now, their own halts and those of everybody. Run as the caller: row-level
-- security says which.
create function public.own_halts() returns jsonb
language sql volatile set search_path = '' as $$
  select jsonb_build_object('halts', coalesce(jsonb_agg(
    jsonb_build_object(
      'own', halt.own, 'everybody', halt.user_id is null, 'flatten', halt.flatten, 'all_orders', halt.all_orders,
      'since', halt.since, 'until', halt.until)
    order by halt.id), '[]'::jsonb))
  from public.trading_halts as halt
  where halt.lifted_at is null and (halt.until is null or halt.until > clock_timestamp())
$$;

create or replace function public.own_account() returns jsonb
language sql volatile set search_path = '' as $$
  select public.own_connection_and_orders() || public.own_doubts() || public.own_limits_and_checks() || public.own_halts()
    || jsonb_build_object('platform', public.platform_status(), 'orders_used_up', public.own_orders_are_used_up())
$$;

revoke execute on function public.own_halts from public, anon, authenticated, service_role;
grant execute on function public.own_halts to authenticated;
