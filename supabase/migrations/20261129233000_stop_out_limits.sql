-- Two limits more: for how long an instrument is not entered again after a stop traded in it, and after how many such
-- stops of a day nothing is entered. Null is the platform's own; the longer cooldown and the smaller number count.

alter table public.user_limits
  add column stop_out_cooldown_minutes bigint check (stop_out_cooldown_minutes between 0 and 1440),
  add column max_stop_outs_per_day bigint check (max_stop_outs_per_day >= 0);

create function private.no_smaller(p_new bigint, p_old bigint) returns boolean
language sql immutable set search_path = '' as $$
  select p_old is null or coalesce(p_new >= p_old, false)
$$;

create or replace function private.no_wider(p_new public.user_limits, p_old public.user_limits) returns boolean
language sql immutable set search_path = '' as $$
  select private.no_larger(p_new.max_order_value_paise, p_old.max_order_value_paise)
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
      'max_order_value_paise', 'max_orders_per_day', 'max_open_positions', 'max_symbol_exposure_paise',
      'max_exposure_paise', 'max_daily_loss_paise', 'stop_out_cooldown_minutes', 'max_stop_outs_per_day',
      'segments', 'products', 'long_only'))
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
    max_order_value_paise = p_new.max_order_value_paise, max_orders_per_day = p_new.max_orders_per_day,
    max_open_positions = p_new.max_open_positions, max_symbol_exposure_paise = p_new.max_symbol_exposure_paise,
    max_exposure_paise = p_new.max_exposure_paise, max_daily_loss_paise = p_new.max_daily_loss_paise,
    stop_out_cooldown_minutes = p_new.stop_out_cooldown_minutes,
    max_stop_outs_per_day = p_new.max_stop_outs_per_day,
    segments = p_new.segments, products = p_new.products, long_only = p_new.long_only,
    version = nextval('private.limit_versions'), changed_at = clock_timestamp()
  where user_id = p_old.user_id;
  insert into private.user_limit_changes (user_id, own, changed_by, reason, before, after)
  values (p_old.user_id, p_own, p_by, p_reason, to_jsonb(p_old), to_jsonb(p_new));
end $$;

revoke execute on function private.no_smaller from public, anon, authenticated, service_role;
