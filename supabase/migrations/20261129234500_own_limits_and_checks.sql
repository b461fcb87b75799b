-- What one trade of a user may lose down to its stop is a limit of theirs too. And an operator's change leaves alone what it
-- does not name: to tighten one value must not give back another that the user tightened meanwhile.

alter table public.user_limits add column risk_per_trade_paise bigint check (risk_per_trade_paise >= 0);

-- As before, and of the risk per trade.
create or replace function private.no_wider(p_new public.user_limits, p_old public.user_limits) returns boolean
language sql immutable set search_path = '' as $$
  select private.no_larger(p_new.max_order_value_paise, p_old.max_order_value_paise)
    and private.no_larger(p_new.risk_per_trade_paise, p_old.risk_per_trade_paise)
    and private.no_larger(p_new.max_orders_per_day, p_old.max_orders_per_day)
    and private.no_larger(p_new.max_open_positions, p_old.max_open_positions)
    and private.no_larger(p_new.max_symbol_exposure_paise, p_old.max_symbol_exposure_paise)
    and private.no_larger(p_new.max_exposure_paise, p_old.max_exposure_paise)
    and private.no_larger(p_new.max_daily_loss_paise, p_old.max_daily_loss_paise)
    and private.no_larger(p_new.max_stop_outs_per_day, p_old.max_stop_outs_per_day)
    and private.no_smaller(p_new.stop_out_cooldown_minutes, p_old.stop_out_cooldown_minutes)
    and private.no_others(p_new.segments, p_old.segments)
    and private.no_others(p_new.products, p_old.products)
    and (p_new.long_only is not distinct from p_old.long_only or coalesce(p_new.long_only, false))
$$;

create or replace function private.refuse_unknown_limits(p_limits jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_limits is null or jsonb_typeof(p_limits) <> 'object' or exists (
    select from jsonb_object_keys(p_limits) as name where name not in (
      'max_order_value_paise', 'risk_per_trade_paise', 'max_orders_per_day', 'max_open_positions',
      'max_symbol_exposure_paise', 'max_exposure_paise', 'max_daily_loss_paise', 'stop_out_cooldown_minutes',
      'max_stop_outs_per_day', 'segments', 'products', 'long_only'))
  then
    raise exception 'not limits: %', left(p_limits::text, 200) using errcode = '22023';
  end if;
end $$;

create or replace function private.write_limits(
  p_old public.user_limits, p_new public.user_limits, p_own boolean, p_by text, p_reason text
) returns void
language plpgsql volatile set search_path = '' as $$
begin
  update public.user_limits set
    max_order_value_paise = p_new.max_order_value_paise, risk_per_trade_paise = p_new.risk_per_trade_paise,
    max_orders_per_day = p_new.max_orders_per_day, max_open_positions = p_new.max_open_positions,
    max_symbol_exposure_paise = p_new.max_symbol_exposure_paise, max_exposure_paise = p_new.max_exposure_paise,
    max_daily_loss_paise = p_new.max_daily_loss_paise,
    stop_out_cooldown_minutes = p_new.stop_out_cooldown_minutes,
    max_stop_outs_per_day = p_new.max_stop_outs_per_day, segments = p_new.segments, products = p_new.products,
    long_only = p_new.long_only, version = nextval('private.limit_versions'), changed_at = clock_timestamp()
  where user_id = p_old.user_id;
  insert into private.user_limit_changes (user_id, own, changed_by, reason, before, after)
  values (p_old.user_id, p_own, p_by, p_reason, to_jsonb(p_old), to_jsonb(p_new));
end $$;

-- An operator says what is in force from now on. What `p_limits` does not name stays; what it names as null is the
-- platform's own again.
create or replace function public.set_user_limits(p_user uuid, p_limits jsonb, p_by text, p_reason text) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_old public.user_limits := private.limits_for_change(p_user);
begin
  perform private.refuse_unknown_limits(p_limits);
  perform private.write_limits(v_old, jsonb_populate_record(v_old, p_limits), false, p_by, p_reason);
end $$;

-- For the account page: the caller's own limits, and the last look at their account before a day's entries; null where there
-- is none.
create function public.own_limits_and_checks() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object(
    'limits', (
      select to_jsonb(one) - 'user_id' - 'version' - 'changed_at' from public.user_limits as one
      where one.user_id = private.signed_in_user()),
    'checks', (
      select jsonb_build_object('day', look.trading_date, 'reds', look.reds, 'looked_at', look.looked_at)
      from public.preflights as look where look.user_id = private.signed_in_user()
      order by look.trading_date desc limit 1))
$$;

create or replace function public.own_account() returns jsonb
language sql volatile set search_path = '' as $$
  select public.own_connection_and_orders() || public.own_doubts() || public.own_limits_and_checks()
    || jsonb_build_object('platform', public.platform_status(), 'orders_used_up', public.own_orders_are_used_up())
$$;

revoke execute on function public.own_limits_and_checks from public, anon, authenticated, service_role;
grant execute on function public.own_limits_and_checks to authenticated;
