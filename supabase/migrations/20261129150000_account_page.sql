-- The account page tells what is: orders stay in sight whatever was denied after them, each stands at its market time, and
-- whoever is switched on reads why no order can leave.

create index order_claims_of_user on private.order_claims (user_id, recorded_at desc);
create index order_claims_sent on private.order_claims (user_id, recorded_at desc)
  where outcome in ('accepted', 'rejected', 'not_found');

-- When the market was as the order saw it. Orders without terms (an older version's) stand at the time they were recorded.
create function private.market_time(p_claim private.order_claims) returns timestamptz
language sql stable set search_path = '' as $$
  select coalesce(to_timestamp((p_claim.terms ->> 'event_time')::bigint / 1000000000.0), p_claim.recorded_at)
$$;

create function private.market_day(p_moment timestamptz) returns date
language sql immutable set search_path = '' as $$
  select (p_moment at time zone 'Asia/Kolkata')::date
$$;

-- The caller's newest fifty orders that reached Dhan or may have, and a week of denials: a number of their own, so that
-- these never push out those.
drop function public.own_order_times();
create function public.own_order_times() returns table (
  decision_id uuid, recorded_at timestamptz, market_time timestamptz, market_day date, denied boolean
)
language sql stable security definer set search_path = '' as $$
  with own as not materialized (
    select claim.decision_id, claim.outcome, claim.recorded_at, private.market_time(claim) as market_time
    from private.order_claims as claim
    where claim.user_id = private.signed_in_user()
  )
  (select own.decision_id, own.recorded_at, own.market_time, private.market_day(own.market_time), false from own
   where own.outcome in ('accepted', 'rejected', 'not_found') order by own.recorded_at desc limit 50)
  union all
  (select own.decision_id, own.recorded_at, own.market_time, private.market_day(own.market_time), true from own
   where own.outcome = 'denied' and own.recorded_at > pg_catalog.now() - interval '7 days'
   order by own.recorded_at desc limit 10000)
$$;

-- The denials of one market day with the same reason are one entry: how many, and the newest ten decisions. Twenty entries.
create function public.own_denials() returns jsonb
language sql stable set search_path = '' as $$
  with denied as (
    select told.decision_id, told.market_time, told.market_day as day, log.failure_reason as reason,
      split_part(log.failure_reason, ':', 1) as code
    from public.own_order_times() as told
    join public.user_trade_logs as log on log.user_id = (select auth.uid()) and log.decision_id = told.decision_id
    where told.denied
  ), numbered as (
    select denied.*, count(*) over same as many,
      row_number() over (partition by day, code order by market_time desc, decision_id) as nth
    from denied window same as (partition by day, code)
  ), folded as (
    select numbered.day, numbered.code, numbered.many as count, max(numbered.market_time) as market_time,
      max(numbered.reason) filter (where numbered.nth = 1) as reason,
      jsonb_agg(jsonb_build_object(
        'decision_id', numbered.decision_id, 'market_time', numbered.market_time, 'action', decision.action,
        'symbol', decision.symbol) order by numbered.nth) as decisions
    from numbered join public.trade_decisions as decision on decision.id = numbered.decision_id
    where numbered.nth <= 10
    group by numbered.day, numbered.code, numbered.many
    order by max(numbered.market_time) desc limit 20
  )
  select coalesce(jsonb_agg(to_jsonb(folded) order by folded.market_time desc), '[]'::jsonb) from folded
$$;

-- As before; `orders` at their market time, without denials, which stand folded beside them.
create or replace function public.own_connection_and_orders() returns jsonb
language sql volatile set search_path = '' as $$
  select jsonb_build_object(
    'now', clock_timestamp(),
    'connection', (
      select jsonb_build_object(
        'client_id', dhan_client_id, 'token_expiry', token_expiry, 'is_trading_enabled', is_trading_enabled)
      from public.user_trading_keys where user_id = (select auth.uid())
    ),
    'connecting', public.own_consent_is_open(),
    'orders', coalesce((
      select jsonb_agg(to_jsonb(listed) - 'recorded_at' order by listed.market_time desc, listed.recorded_at desc)
      from (
        select log.id, told.recorded_at, told.market_time, decision.action, decision.symbol, decision.reasoning,
          coalesce(corrected.status, log.status) as status,
          case when corrected.status is null then log.dhan_order_id else corrected.dhan_order_id end as dhan_order_id,
          case when corrected.status is null then log.failure_reason else corrected.failure_reason end
            as failure_reason,
          corrected.corrected_at
        from public.own_order_times() as told
        join public.user_trade_logs as log on log.user_id = (select auth.uid()) and log.decision_id = told.decision_id
        join public.trade_decisions as decision on decision.id = log.decision_id
        left join public.own_corrections() as corrected on corrected.decision_id = log.decision_id
        where not told.denied
      ) as listed
    ), '[]'::jsonb),
    'denials', public.own_denials()
  )
$$;

-- Order workers say more of themselves: what halts all orders, as a denial code, and how far the market's clock has come
-- for them (a replay's is not the wall's). Null: nothing halts; no clock yet.
alter table private.platform_reports
  add column halted text check (halted ~ '^[a-z_]{1,60}$'),
  add column market_time timestamptz;

drop function public.report_platform(text, text, text, bigint, integer);
create function public.report_platform(
  p_instance text, p_mode text, p_own_client_id text, p_max_order_value_rupees bigint, p_max_orders_per_day integer,
  p_halted text default null, p_market_time timestamptz default null
) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('platform_reports', 0));
  insert into private.platform_reports
    (instance, mode, own_client_id, max_order_value_rupees, max_orders_per_day, halted, market_time)
  values (
    p_instance, p_mode, p_own_client_id, p_max_order_value_rupees, p_max_orders_per_day, p_halted, p_market_time)
  on conflict (instance) do update set
    mode = excluded.mode, own_client_id = excluded.own_client_id,
    max_order_value_rupees = excluded.max_order_value_rupees, max_orders_per_day = excluded.max_orders_per_day,
    halted = excluded.halted, market_time = excluded.market_time, reported_at = clock_timestamp();
  if p_mode <> 'paper' then
    perform private.end_consents_to_other_modes(p_mode, p_own_client_id);
  end if;
end $$;

create function private.report_lives(p_report private.platform_reports) returns boolean
language sql volatile set search_path = '' as $$
  select p_report.reported_at > clock_timestamp() - interval '1 minute'
$$;

-- The report that concerns users most: one that lives before one that does not, real money before paper. No row when
-- nobody ever reported.
create function private.ruling_report() returns setof private.platform_reports
language sql volatile set search_path = '' as $$
  select report.* from private.platform_reports as report
  order by private.report_lives(report) desc, private.report_lives(report) and report.mode <> 'paper' desc,
    report.reported_at desc
  limit 1
$$;

-- As before, and `halted`: why no order leaves now, of any order worker of the mode that lives. The operator's stop first.
create or replace function public.platform_status() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object(
    'mode', report.mode,
    'alive', private.report_lives(report),
    'admits_this_account', report.own_client_id is null or coalesce(report.own_client_id = (
      select dhan_client_id from public.user_trading_keys where user_id = private.signed_in_user()), false),
    'max_order_value_rupees', report.max_order_value_rupees,
    'max_orders_per_day', report.max_orders_per_day,
    'reported_at', report.reported_at,
    'halted', (
      select beside.halted from private.platform_reports as beside
      where private.report_lives(beside) and beside.mode = report.mode and beside.halted is not null
      order by beside.halted = 'kill_switch' desc, beside.reported_at desc limit 1))
  from private.ruling_report() as report
$$;

-- What is agreed to is mode and limits; a halt comes and goes.
create or replace function private.terms_of(p_platform jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select p_platform - 'alive' - 'reported_at' - 'halted'
$$;

-- Whether the caller's orders of this market day are used up: one was denied for it, and so many were sent that it still
-- holds under the present limit. Orders that only close are never denied for it.
create function public.own_orders_are_used_up() returns boolean
language sql volatile security definer set search_path = '' as $$
  select coalesce((
    select bool_or(claim.outcome = 'denied' and split_part(claim.reason, ':', 1) = 'orders_of_the_day_used_up')
      and count(*) filter (where claim.outcome in ('accepted', 'rejected', 'not_found')) >= max(report.max_orders_per_day)
    from private.ruling_report() as report
    join private.order_claims as claim on claim.user_id = private.signed_in_user()
      and claim.recorded_at > pg_catalog.now() - interval '2 days'
      and private.market_day(private.market_time(claim))
        = private.market_day(coalesce(report.market_time, clock_timestamp()))
  ), false)
$$;

create or replace function public.own_account() returns jsonb
language sql volatile set search_path = '' as $$
  select public.own_connection_and_orders() || public.own_doubts() || jsonb_build_object(
    'platform', public.platform_status(), 'orders_used_up', public.own_orders_are_used_up())
$$;

revoke execute on function private.market_time, private.market_day, private.report_lives, private.ruling_report
  from public, anon, authenticated, service_role;
revoke execute on function public.own_order_times, public.own_denials, public.own_orders_are_used_up,
  public.report_platform from public, anon, authenticated, service_role;
grant execute on function public.own_order_times, public.own_denials, public.own_orders_are_used_up to authenticated;
grant execute on function public.report_platform to service_role;
