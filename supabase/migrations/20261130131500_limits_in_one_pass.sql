-- Everybody's limits are read whenever one of them changes, by every order worker, which waits three seconds at most: of ten
-- thousand users each call of a function per row counts. So what holds is said once, in the one statement that reads the rows.

create or replace function private.limits_of(p_user uuid default null)
returns table (user_id uuid, ceiling public.user_limits, own public.user_limits, held public.user_limits)
language sql stable set search_path = '' as $$
  select coalesce((agreed).user_id, (chosen).user_id), agreed, chosen, row(
    -- in the order of the table's columns; no value of either raises an error
    coalesce((agreed).user_id, (chosen).user_id),
    least((agreed).max_order_value_paise, (chosen).max_order_value_paise),
    least((agreed).max_orders_per_day, (chosen).max_orders_per_day),
    least((agreed).max_open_positions, (chosen).max_open_positions),
    least((agreed).max_symbol_exposure_paise, (chosen).max_symbol_exposure_paise),
    least((agreed).max_exposure_paise, (chosen).max_exposure_paise),
    least((agreed).max_daily_loss_paise, (chosen).max_daily_loss_paise),
    case when (agreed).segments is null or (chosen).segments operator(pg_catalog.<@) (agreed).segments then (chosen).segments
      when (chosen).segments is null then (agreed).segments
      else private.in_both((agreed).segments, (chosen).segments) end,
    case when (agreed).products is null or (chosen).products operator(pg_catalog.<@) (agreed).products then (chosen).products
      when (chosen).products is null then (agreed).products
      else private.in_both((agreed).products, (chosen).products) end,
    -- no user's choice allows short sales that the operator does not
    case when (chosen).long_only then true else (agreed).long_only end,
    greatest((agreed).version, (chosen).version),
    greatest((agreed).changed_at, (chosen).changed_at),
    greatest((agreed).stop_out_cooldown_minutes, (chosen).stop_out_cooldown_minutes),
    least((agreed).max_stop_outs_per_day, (chosen).max_stop_outs_per_day),
    least((agreed).risk_per_trade_paise, (chosen).risk_per_trade_paise),
    null)::public.user_limits
  from (
      select one as agreed from public.user_limits as one where not one.own and (p_user is null or one.user_id = p_user)
    ) as ceilings full join (
      select one as chosen from public.user_limits as one where one.own and (p_user is null or one.user_id = p_user)
    ) as choices on (agreed).user_id = (chosen).user_id
  order by 1
$$;

-- As before.
create or replace function private.change_own_limits(p_limits jsonb, p_widens boolean) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
  v_ceiling constant public.user_limits := private.limits_for_change(v_user, false);
  v_old constant public.user_limits := private.limits_for_change(v_user, true);
  v_new constant public.user_limits := jsonb_populate_record(v_old, p_limits);
  v_wider text[];
begin
  perform private.refuse_unknown_limits(p_limits);
  -- without a choice of the user's the ceiling holds, which is no wider than itself
  v_wider := array(
    select unnest(case when p_widens then private.wider_limits(v_new, v_ceiling)
      else private.wider_limits(v_new, (select held from private.limits_of(v_user))) end)
    intersect
    select key from jsonb_each(p_limits) where not p_widens or value <> 'null'
    order by 1);
  if v_wider <> '{}' then
    raise exception 'wider than it may be: %', array_to_string(v_wider, ', ') using errcode = '42501',
      detail = case when p_widens then 'above_ceiling' else 'wider' end, hint = array_to_string(v_wider, ',');
  end if;
  if (select count(*) >= 50 from private.user_limit_changes
      where user_id = v_user and own and at > clock_timestamp() - interval '1 day') then
    raise exception 'too many changes in one day' using errcode = 'P0001', detail = 'too_often',
      hint = 'Wait until tomorrow.';
  end if;
  perform private.write_limits(
    v_old, v_new, true, 'user', case when p_widens then 'widened by the user' else 'tightened by the user' end);
end $$;

drop function private.held_limits(public.user_limits, public.user_limits);
