-- What one user may do at most. A value that is null is the platform's own. The user may tighten each, and only an operator
-- widens one again: who is losing does not talk themselves into more.

create sequence private.limit_versions;

create table public.user_limits (
  user_id uuid primary key references auth.users (id) on delete restrict,
  max_order_value_paise bigint check (max_order_value_paise >= 0),
  max_orders_per_day bigint check (max_orders_per_day >= 0),
  max_open_positions bigint check (max_open_positions >= 0),
  max_symbol_exposure_paise bigint check (max_symbol_exposure_paise >= 0),
  max_exposure_paise bigint check (max_exposure_paise >= 0),
  max_daily_loss_paise bigint check (max_daily_loss_paise >= 0),
  segments text[] check (segments <@ array[
    'NSE_EQ', 'NSE_FNO', 'NSE_CURRENCY', 'BSE_EQ', 'BSE_FNO', 'BSE_CURRENCY', 'MCX_COMM']),
  products text[] check (products <@ array['CNC', 'INTRADAY', 'MARGIN', 'MTF']),
  long_only boolean,  -- null: with real money yes, with paper money no
  version bigint not null,  -- of the newest change of anybody's
  changed_at timestamptz not null default clock_timestamp()
);
comment on table public.user_limits is 'What one user may do at most; null is the platform''s own.';

create table private.user_limit_changes (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete restrict,
  own boolean not null,  -- the user did it
  changed_by text not null check (length(changed_by) between 1 and 100),
  reason text not null check (length(reason) between 1 and 500),
  before jsonb,
  after jsonb not null,
  at timestamptz not null default clock_timestamp()
);
create index user_limit_changes_user_id on private.user_limit_changes (user_id, at);
create trigger limit_changes_stay before update or delete on private.user_limit_changes
  for each row execute function private.refuse_rewriting();

alter table public.user_limits enable row level security;
revoke all on public.user_limits from public, anon, authenticated, service_role;
grant select on public.user_limits to authenticated, service_role;
create policy own_limits_are_read on public.user_limits for select to authenticated
  using (user_id = (select auth.uid()));
alter table private.user_limit_changes enable row level security;
revoke all on private.user_limit_changes from public, anon, authenticated, service_role;
revoke all on sequence private.limit_versions from public, anon, authenticated, service_role;

create function private.no_larger(p_new bigint, p_old bigint) returns boolean
language sql immutable set search_path = '' as $$
  select p_old is null or coalesce(p_new <= p_old, false)
$$;

create function private.no_others(p_new text[], p_old text[]) returns boolean
language sql immutable set search_path = '' as $$
  select p_old is null or coalesce(p_new <@ p_old, false)
$$;

-- Whether nothing that `p_old` forbids is allowed by `p_new`.
create function private.no_wider(p_new public.user_limits, p_old public.user_limits) returns boolean
language sql immutable set search_path = '' as $$
  select private.no_larger(p_new.max_order_value_paise, p_old.max_order_value_paise)
    and private.no_larger(p_new.max_orders_per_day, p_old.max_orders_per_day)
    and private.no_larger(p_new.max_open_positions, p_old.max_open_positions)
    and private.no_larger(p_new.max_symbol_exposure_paise, p_old.max_symbol_exposure_paise)
    and private.no_larger(p_new.max_exposure_paise, p_old.max_exposure_paise)
    and private.no_larger(p_new.max_daily_loss_paise, p_old.max_daily_loss_paise)
    and private.no_others(p_new.segments, p_old.segments)
    and private.no_others(p_new.products, p_old.products)
    and (p_new.long_only is not distinct from p_old.long_only or coalesce(p_new.long_only, false))
$$;

-- A name that is misspelt would leave its limit away.
create function private.refuse_unknown_limits(p_limits jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_limits is null or jsonb_typeof(p_limits) <> 'object' or exists (
    select from jsonb_object_keys(p_limits) as name where name not in (
      'max_order_value_paise', 'max_orders_per_day', 'max_open_positions', 'max_symbol_exposure_paise',
      'max_exposure_paise', 'max_daily_loss_paise', 'segments', 'products', 'long_only'))
  then
    raise exception 'not limits: %', left(p_limits::text, 200) using errcode = '22023';
  end if;
end $$;

-- The row of `p_user`, locked until the transaction ends; one that limits nothing when there was none. One change at a
-- time, so that versions appear in order.
create function private.limits_for_change(p_user uuid) returns public.user_limits
language plpgsql volatile set search_path = '' as $$
declare
  v_limits public.user_limits;
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('user_limits', 0));
  insert into public.user_limits (user_id, version) values (p_user, nextval('private.limit_versions'))
  on conflict (user_id) do nothing;
  select * into strict v_limits from public.user_limits where user_id = p_user for update;
  return v_limits;
end $$;

create function private.write_limits(
  p_old public.user_limits, p_new public.user_limits, p_own boolean, p_by text, p_reason text
) returns void
language plpgsql volatile set search_path = '' as $$
begin
  update public.user_limits set
    max_order_value_paise = p_new.max_order_value_paise, max_orders_per_day = p_new.max_orders_per_day,
    max_open_positions = p_new.max_open_positions, max_symbol_exposure_paise = p_new.max_symbol_exposure_paise,
    max_exposure_paise = p_new.max_exposure_paise, max_daily_loss_paise = p_new.max_daily_loss_paise,
    segments = p_new.segments, products = p_new.products, long_only = p_new.long_only,
    version = nextval('private.limit_versions'), changed_at = clock_timestamp()
  where user_id = p_old.user_id;
  insert into private.user_limit_changes (user_id, own, changed_by, reason, before, after)
  values (p_old.user_id, p_own, p_by, p_reason, to_jsonb(p_old), to_jsonb(p_new));
end $$;

-- An operator says what is in force from now on; what `p_limits` does not name is the platform's own again.
create function public.set_user_limits(p_user uuid, p_limits jsonb, p_by text, p_reason text) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_old public.user_limits := private.limits_for_change(p_user);
begin
  perform private.refuse_unknown_limits(p_limits);
  perform private.write_limits(
    v_old, jsonb_populate_record(null::public.user_limits, p_limits), false, p_by, p_reason);
end $$;

-- The user's own change: what `p_limits` names becomes tighter, or nothing changes at all. Fifty times a day.
create function public.tighten_own_limits(p_limits jsonb) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
  v_old public.user_limits := private.limits_for_change(v_user);
  v_new public.user_limits := jsonb_populate_record(v_old, p_limits);
begin
  perform private.refuse_unknown_limits(p_limits);
  if not private.no_wider(v_new, v_old) then
    raise exception 'only an operator widens a limit' using errcode = '42501', detail = 'wider';
  end if;
  if (select count(*) >= 50 from private.user_limit_changes
      where user_id = v_user and own and at > clock_timestamp() - interval '1 day') then
    raise exception 'too many changes in one day' using errcode = 'P0001', detail = 'too_often',
      hint = 'Wait until tomorrow.';
  end if;
  perform private.write_limits(v_old, v_new, true, 'user', 'tightened by the user');
end $$;

-- For order workers, twice a second. `limits` is null when nothing changed since `p_known`.
create function public.limits_in_force(p_known bigint default null) returns jsonb
language sql volatile security definer set search_path = '' as $$
  with newest as (select coalesce(max(version), 0) as version from public.user_limits)
  select jsonb_build_object(
    'version', newest.version,
    'limits', case when newest.version is distinct from p_known then
      (select coalesce(jsonb_agg(to_jsonb(one)), '[]'::jsonb) from public.user_limits as one) end)
  from newest
$$;
create index user_limits_version on public.user_limits (version);

revoke execute on function private.no_larger, private.no_others, private.no_wider, private.refuse_unknown_limits,
  private.limits_for_change, private.write_limits from public, anon, authenticated, service_role;
revoke execute on function public.set_user_limits, public.tighten_own_limits, public.limits_in_force
  from public, anon, authenticated, service_role;
grant execute on function public.set_user_limits, public.limits_in_force to service_role;
grant execute on function public.tighten_own_limits to authenticated;
