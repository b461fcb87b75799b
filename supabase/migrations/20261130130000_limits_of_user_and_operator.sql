-- The operator's ceiling and the user's own choice are two rows: what holds is the tighter of both, limit by limit. So the user
-- widens again by themselves, up to the ceiling; a ceiling that is raised widens nothing the user chose.

alter table public.user_limits
  add column own boolean not null default false,  -- the user's choice; otherwise the operator's ceiling
  drop constraint user_limits_pkey,
  add primary key (user_id, own);
alter table public.user_limits alter column own drop default;
comment on table public.user_limits is
  'What one user may do at most: the operator''s ceiling and the user''s own choice. Null: none of theirs.';
comment on column public.user_limits.long_only is
  'Null: none of theirs. Where neither says anything, with real money yes, with paper money no.';

create function private.in_both(p_one text[], p_other text[]) returns text[]
language sql immutable set search_path = '' as $$
  select case when p_one is null then p_other when p_other is null then p_one
    else array(select unnest(p_one) intersect select unnest(p_other) order by 1) end
$$;

-- What holds: the tighter of both. No value of either raises an error: everybody's are read in one statement.
create function private.held_limits(p_ceiling public.user_limits, p_own public.user_limits) returns public.user_limits
language plpgsql immutable set search_path = '' as $$
declare
  v_held public.user_limits;
begin
  v_held.user_id := coalesce(p_ceiling.user_id, p_own.user_id);
  v_held.version := greatest(p_ceiling.version, p_own.version);
  v_held.changed_at := greatest(p_ceiling.changed_at, p_own.changed_at);
  v_held.max_order_value_paise := least(p_ceiling.max_order_value_paise, p_own.max_order_value_paise);
  v_held.risk_per_trade_paise := least(p_ceiling.risk_per_trade_paise, p_own.risk_per_trade_paise);
  v_held.max_orders_per_day := least(p_ceiling.max_orders_per_day, p_own.max_orders_per_day);
  v_held.max_open_positions := least(p_ceiling.max_open_positions, p_own.max_open_positions);
  v_held.max_symbol_exposure_paise := least(p_ceiling.max_symbol_exposure_paise, p_own.max_symbol_exposure_paise);
  v_held.max_exposure_paise := least(p_ceiling.max_exposure_paise, p_own.max_exposure_paise);
  v_held.max_daily_loss_paise := least(p_ceiling.max_daily_loss_paise, p_own.max_daily_loss_paise);
  v_held.max_stop_outs_per_day := least(p_ceiling.max_stop_outs_per_day, p_own.max_stop_outs_per_day);
  v_held.stop_out_cooldown_minutes := greatest(p_ceiling.stop_out_cooldown_minutes, p_own.stop_out_cooldown_minutes);
  v_held.segments := private.in_both(p_ceiling.segments, p_own.segments);
  v_held.products := private.in_both(p_ceiling.products, p_own.products);
  -- no user's choice allows short sales that the operator does not
  v_held.long_only := case when p_own.long_only then true else p_ceiling.long_only end;
  return v_held;
end $$;

-- The names of the limits by which `p_new` allows what `p_old` forbids.
create function private.wider_limits(p_new public.user_limits, p_old public.user_limits) returns text[]
language sql immutable set search_path = '' as $$
  select array(
    select one.name from (values
      ('max_order_value_paise', private.no_larger(p_new.max_order_value_paise, p_old.max_order_value_paise)),
      ('risk_per_trade_paise', private.no_larger(p_new.risk_per_trade_paise, p_old.risk_per_trade_paise)),
      ('max_orders_per_day', private.no_larger(p_new.max_orders_per_day, p_old.max_orders_per_day)),
      ('max_open_positions', private.no_larger(p_new.max_open_positions, p_old.max_open_positions)),
      ('max_symbol_exposure_paise',
        private.no_larger(p_new.max_symbol_exposure_paise, p_old.max_symbol_exposure_paise)),
      ('max_exposure_paise', private.no_larger(p_new.max_exposure_paise, p_old.max_exposure_paise)),
      ('max_daily_loss_paise', private.no_larger(p_new.max_daily_loss_paise, p_old.max_daily_loss_paise)),
      ('max_stop_outs_per_day', private.no_larger(p_new.max_stop_outs_per_day, p_old.max_stop_outs_per_day)),
      ('stop_out_cooldown_minutes',
        private.no_smaller(p_new.stop_out_cooldown_minutes, p_old.stop_out_cooldown_minutes)),
      ('segments', private.no_others(p_new.segments, p_old.segments)),
      ('products', private.no_others(p_new.products, p_old.products)),
      ('long_only', p_new.long_only is not distinct from p_old.long_only or coalesce(p_new.long_only, false))
    ) as one (name, fits) where not one.fits)
$$;

-- Of the rows there are, a value is the user's own where only the user changed anything since the operator's newest change: the
-- operator's value is then as that change left it. Where that cannot be known, the value is the operator's ceiling. What holds is
-- the same before and after.
do $$
declare
  v_row public.user_limits;
  v_ceiling public.user_limits;
  v_newest public.user_limits;
  v_own text[];
begin
  for v_row in select * from public.user_limits loop
    select one.* into v_newest from private.user_limit_changes as change,
      jsonb_populate_record(null::public.user_limits, change.after) as one
    where change.user_id = v_row.user_id order by change.id desc limit 1;
    select one.* into v_ceiling from private.user_limit_changes as change,
      jsonb_populate_record(null::public.user_limits, change.after) as one
    where change.user_id = v_row.user_id and not change.own order by change.id desc limit 1;
    -- no list in a list, and each word once, as 20261129235500 made the rows
    v_ceiling.segments := case when v_ceiling.segments is not null then array(
      select distinct one from unnest(v_ceiling.segments) as one order by one) end;
    v_ceiling.products := case when v_ceiling.products is not null then array(
      select distinct one from unnest(v_ceiling.products) as one order by one) end;
    v_own := private.wider_limits(v_ceiling, v_row);
    if v_own = '{}' or private.wider_limits(v_row, v_ceiling) <> '{}' or private.wider_limits(v_row, v_newest) <> '{}'
      or private.wider_limits(v_newest, v_row) <> '{}'
    then
      continue;
    end if;
    delete from public.user_limits where user_id = v_row.user_id;
    insert into public.user_limits
    select one.* from jsonb_populate_record(v_row, (
      select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(v_ceiling)) where key = any (v_own))) as one;
    insert into public.user_limits
    select one.* from jsonb_populate_record(null::public.user_limits, (
      select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(v_row)) where key = any (v_own))
      || jsonb_build_object('user_id', v_row.user_id, 'own', true, 'changed_at', v_row.changed_at,
        'version', nextval('private.limit_versions'))) as one;
  end loop;
end $$;

drop function private.no_wider(public.user_limits, public.user_limits);
drop function private.limits_for_change(uuid);

-- The user's choice or the operator's ceiling, locked until the transaction ends; one that limits nothing when there was none.
-- One change at a time, so that versions appear in order.
create function private.limits_for_change(p_user uuid, p_own boolean) returns public.user_limits
language plpgsql volatile set search_path = '' as $$
declare
  v_limits public.user_limits;
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('user_limits', 0));
  insert into public.user_limits (user_id, own, version) values (p_user, p_own, nextval('private.limit_versions'))
  on conflict (user_id, own) do nothing;
  select * into strict v_limits from public.user_limits where user_id = p_user and own = p_own for update;
  return v_limits;
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
  where user_id = p_old.user_id and own = p_own;
  insert into private.user_limit_changes (user_id, own, changed_by, reason, before, after)
  values (p_old.user_id, p_own, p_by, p_reason, to_jsonb(p_old), to_jsonb(p_new));
end $$;

-- An operator says what the user's ceiling is from now on. What `p_limits` does not name stays; what it names as null is the
-- platform's own again. The user's choice stays as it is.
create or replace function public.set_user_limits(p_user uuid, p_limits jsonb, p_by text, p_reason text) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_old public.user_limits := private.limits_for_change(p_user, false);
begin
  perform private.refuse_unknown_limits(p_limits);
  perform private.write_limits(v_old, jsonb_populate_record(v_old, p_limits), false, p_by, p_reason);
end $$;

-- The caller's own choice of what `p_limits` names; all of it or nothing. Fifty changes a day.
create function private.change_own_limits(p_limits jsonb, p_widens boolean) returns void
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
      else private.wider_limits(v_new, private.held_limits(v_ceiling, v_old)) end)
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

-- No wider than what holds: error 42501 with detail `wider`, and the limits that are in the hint.
create or replace function public.tighten_own_limits(p_limits jsonb) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform private.change_own_limits(p_limits, false);
end $$;

-- No wider than the operator's ceiling: error 42501 with detail `above_ceiling`, and the limits that are in the hint. Null: no
-- choice of the user's any more, so that the ceiling holds.
create function public.widen_own_limits(p_limits jsonb) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform private.change_own_limits(p_limits, true);
end $$;

-- Both rows of each user who has one, and what holds: one row each, the least id first.
create function private.limits_of(p_user uuid default null)
returns table (user_id uuid, ceiling public.user_limits, own public.user_limits, held public.user_limits)
language sql stable set search_path = '' as $$
  select one.user_id, agreed, chosen, private.held_limits(agreed, chosen)
  from (select distinct each.user_id from public.user_limits as each where p_user is null or each.user_id = p_user) as one
    left join public.user_limits as agreed on agreed.user_id = one.user_id and not agreed.own
    left join public.user_limits as chosen on chosen.user_id = one.user_id and chosen.own
  order by one.user_id
$$;

-- What stands in a row beside whose it is and when.
create function private.values_of(p_limits public.user_limits) returns jsonb
language sql immutable set search_path = '' as $$
  select to_jsonb(p_limits) - array['user_id', 'own', 'version', 'changed_at']
$$;

-- For order workers, twice a second: what holds. `limits` is null when nothing changed since `p_known`.
create or replace function public.limits_in_force(p_known bigint default null) returns jsonb
language sql volatile security definer set search_path = '' as $$
  with newest as (select coalesce(max(version), 0) as version from public.user_limits)
  select jsonb_build_object(
    'version', newest.version,
    'limits', case when newest.version is distinct from p_known then
      (select coalesce(jsonb_agg(to_jsonb(one.held) - 'own'), '[]'::jsonb) from private.limits_of() as one) end)
  from newest
$$;

-- For `ats limits show`: ceiling, choice and what holds of one user, or of the first thousand who have either.
create function public.user_limits_told(p_user uuid default null) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'user_id', one.user_id, 'ceiling', private.values_of(one.ceiling), 'own', private.values_of(one.own),
    'held', private.values_of(one.held)) order by one.user_id), '[]'::jsonb)
  from (select * from private.limits_of(p_user) limit 1000) as one
$$;

-- The same of one user for an operator's console; null where the user has neither.
create function public.operator_limits(p_user uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform private.acting_operator();
  return (
    select jsonb_build_object(
      'ceiling', private.values_of(one.ceiling), 'own', private.values_of(one.own), 'held', private.values_of(one.held))
    from private.limits_of(p_user) as one where one.user_id = p_user);
end $$;

-- For the account page: what holds of the caller's limits, the operator's ceiling and their own choice, and the last look at
-- their account before a day's entries; null where there is none.
create or replace function public.own_limits_and_checks() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select coalesce((
    select jsonb_build_object(
      'limits', private.values_of(one.held), 'limits_ceiling', private.values_of(one.ceiling),
      'limits_own', private.values_of(one.own))
    from private.limits_of(private.signed_in_user()) as one
  ), jsonb_build_object('limits', null, 'limits_ceiling', null, 'limits_own', null)) || jsonb_build_object(
    'checks', (
      select jsonb_build_object('day', look.trading_date, 'reds', look.reds, 'looked_at', look.looked_at)
      from public.preflights as look where look.user_id = private.signed_in_user()
      order by look.trading_date desc limit 1))
$$;

-- The newest thirty changes of the caller's limits: by the user or by an operator, and of each limit what it was and became.
create function public.own_limit_changes() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('at', one.at, 'own', one.own, 'changed', (
    select coalesce(jsonb_object_agg(key, jsonb_build_array(one.before -> key, value)), '{}'::jsonb)
    from jsonb_each(one.after - array['user_id', 'own', 'version', 'changed_at'])
    where value is distinct from coalesce(one.before -> key, 'null'))) order by one.id desc), '[]'::jsonb)
  from (
    select * from private.user_limit_changes as change where change.user_id = private.signed_in_user()
    order by change.id desc limit 30) as one
$$;

revoke execute on function private.in_both, private.held_limits, private.wider_limits, private.limits_for_change,
  private.change_own_limits, private.limits_of, private.values_of from public, anon, authenticated, service_role;
revoke execute on function public.widen_own_limits, public.user_limits_told, public.operator_limits,
  public.own_limit_changes from public, anon, authenticated, service_role;
grant execute on function public.user_limits_told to service_role;
grant execute on function public.widen_own_limits, public.operator_limits, public.own_limit_changes to authenticated;
