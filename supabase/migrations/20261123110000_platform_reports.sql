-- What the order workers say of themselves: mode and limits. A user is told them before trading is switched on.

create table private.platform_reports (
  instance text primary key check (length(instance) between 1 and 100),
  mode text not null check (mode in ('paper', 'self', 'family', 'empanelled')),
  -- The one Dhan account the mode trades; null trades every connected one.
  own_client_id text,
  max_order_value_rupees bigint not null check (max_order_value_rupees >= 0),
  max_orders_per_day integer not null check (max_orders_per_day >= 0),
  reported_at timestamptz not null default clock_timestamp()
);
comment on table private.platform_reports is 'One row per order worker, renewed every 15 seconds while it runs.';
alter table private.platform_reports enable row level security;
revoke all on private.platform_reports from public, anon, authenticated, service_role;

create function public.report_platform(
  p_instance text, p_mode text, p_own_client_id text, p_max_order_value_rupees bigint, p_max_orders_per_day integer
) returns void
language sql security definer set search_path = '' as $$
  insert into private.platform_reports
    (instance, mode, own_client_id, max_order_value_rupees, max_orders_per_day)
  values (p_instance, p_mode, p_own_client_id, p_max_order_value_rupees, p_max_orders_per_day)
  on conflict (instance) do update set
    mode = excluded.mode, own_client_id = excluded.own_client_id,
    max_order_value_rupees = excluded.max_order_value_rupees, max_orders_per_day = excluded.max_orders_per_day,
    reported_at = clock_timestamp()
$$;

-- The report that concerns the caller most: one that lives before one that does not, real money before paper. Null when
-- nobody ever reported. The operator's client id stays inside; the caller learns whether it is their own.
create function public.platform_status() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object(
    'mode', report.mode,
    'alive', report.alive,
    'admits_this_account', report.own_client_id is null or coalesce(report.own_client_id = (
      select dhan_client_id from public.user_trading_keys where user_id = private.signed_in_user()), false),
    'max_order_value_rupees', report.max_order_value_rupees,
    'max_orders_per_day', report.max_orders_per_day,
    'reported_at', report.reported_at)
  from (
    select *, reported_at > clock_timestamp() - interval '1 minute' as alive from private.platform_reports
  ) as report
  order by report.alive desc, report.alive and report.mode <> 'paper' desc, report.reported_at desc
  limit 1
$$;

alter function public.own_account() rename to own_connection_and_orders;
create function public.own_account() returns jsonb
language sql volatile set search_path = '' as $$
  select public.own_connection_and_orders() || jsonb_build_object('platform', public.platform_status())
$$;

revoke execute on function public.report_platform, public.platform_status, public.own_account
  from public, anon, authenticated, service_role;
grant execute on function public.report_platform to service_role;
grant execute on function public.platform_status, public.own_account to authenticated;
