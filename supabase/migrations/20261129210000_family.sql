-- Mode `family`: the operator trades for declared members of their family, and for nobody else (SEBI's circular of
-- 4 February 2025). A declaration is a row. It changes once, when it is ended, and stays as evidence.

create table public.family_members (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete restrict,
  dhan_client_id text not null check (dhan_client_id ~ '^[0-9]{4,20}$'),
  -- the circular's words: self, spouse, dependent children and dependent parents
  relation text not null check (relation in ('self', 'spouse', 'dependent_child', 'dependent_parent')),
  consent text not null check (length(consent) between 1 and 500),  -- what they agreed to, and where it is kept
  consented_on date not null,
  address inet not null check (address = host(address)::inet),  -- registered at Dhan, as Dhan sees it
  declared_by text not null check (length(declared_by) between 1 and 100),
  declared_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  ended_by text check (length(ended_by) between 1 and 100),
  end_reason text check (length(end_reason) between 1 and 500),
  constraint consent_comes_first check (consented_on <= (declared_at at time zone 'Asia/Kolkata')::date),
  constraint ended_by_somebody check (num_nonnulls(ended_at, ended_by, end_reason) in (0, 3))
);
comment on table public.family_members is 'Whose accounts the operator may trade in mode family. In force while ended_at is null.';
create unique index one_declaration_of_a_user on public.family_members (user_id) where ended_at is null;
create unique index one_declaration_of_an_account on public.family_members (dhan_client_id) where ended_at is null;
-- Dhan: no two users have the same address at the same time
create unique index one_declaration_of_an_address on public.family_members (address) where ended_at is null;
create unique index one_self_and_one_spouse on public.family_members (relation)
  where ended_at is null and relation in ('self', 'spouse');

create trigger declarations_stay before delete on public.family_members
  for each row execute function private.refuse_rewriting();
create trigger declarations_change_once before update on public.family_members
  for each row when (
    old.ended_at is not null
    or (old.id, old.user_id, old.dhan_client_id, old.relation, old.consent, old.consented_on, old.address,
      old.declared_by, old.declared_at)
      is distinct from (new.id, new.user_id, new.dhan_client_id, new.relation, new.consent, new.consented_on,
        new.address, new.declared_by, new.declared_at))
  execute function private.refuse_rewriting();

alter table public.family_members enable row level security;
revoke all on public.family_members from public, anon, authenticated, service_role;
-- A member reads what was declared of them, not which of the operators it was.
grant select (id, user_id, dhan_client_id, relation, consent, consented_on, address, declared_at, ended_at)
  on public.family_members to authenticated;
grant select on public.family_members to service_role;
create policy members_read_their_own_declaration on public.family_members for select to authenticated
  using (user_id = (select auth.uid()));

-- `status` is `declared`, or what stands in the way.
create function public.declare_member(
  p_user uuid, p_client_id text, p_relation text, p_consent text, p_consented_on date, p_address inet, p_by text
) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_other public.family_members;
begin
  if not exists (select from auth.users where id = p_user) then
    return jsonb_build_object('status', 'unknown_user');
  end if;
  insert into public.family_members (user_id, dhan_client_id, relation, consent, consented_on, address, declared_by)
  values (p_user, p_client_id, p_relation, p_consent, p_consented_on, p_address, p_by)
  on conflict do nothing;
  if found then
    return jsonb_build_object('status', 'declared');
  end if;
  select * into v_other from public.family_members
  where ended_at is null and (user_id = p_user or dhan_client_id = p_client_id or address = p_address)
  order by user_id = p_user desc, dhan_client_id = p_client_id desc limit 1;
  return jsonb_build_object('status', case
    when v_other.user_id = p_user then 'user_declared'
    when v_other.dhan_client_id = p_client_id then 'account_declared'
    when v_other.address = p_address then 'address_declared'
    else 'relation_declared'
  end);
end $$;

-- Whether a declaration of the account was in force. It ends, and the member's switch goes off: no entry is claimed from
-- then on. What they hold is still protected and closed.
create function public.end_membership(p_client_id text, p_by text, p_reason text) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user uuid;
begin
  update public.family_members set ended_at = clock_timestamp(), ended_by = p_by, end_reason = p_reason
  where dhan_client_id = p_client_id and ended_at is null
  returning user_id into v_user;
  update public.user_trading_keys set is_trading_enabled = false
  where user_id = v_user and dhan_client_id = p_client_id and is_trading_enabled;
  return v_user is not null;
end $$;

-- For order workers and `ats books`, once a second. Of each (user, account) the last declaration, in force or ended; null
-- when they are those that `p_known` names.
create function public.members_declared(p_known text default null) returns jsonb
language sql volatile security definer set search_path = '' as $$
  with member as (
    select distinct on (user_id, dhan_client_id)
      user_id, dhan_client_id, host(address) as address, ended_at is null as in_force
    from public.family_members order by user_id, dhan_client_id, id desc
  ), known as (
    select md5(coalesce(string_agg(member::text, ',' order by user_id, dhan_client_id), '')) as digest from member
  )
  select jsonb_build_object(
    'digest', known.digest,
    'members', case when known.digest is distinct from p_known then
      (select coalesce(jsonb_agg(to_jsonb(member) order by user_id, dhan_client_id), '[]'::jsonb) from member) end)
  from known
$$;

create function private.is_declared(p_user uuid, p_client_id text) returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select from public.family_members
    where user_id = p_user and dhan_client_id = p_client_id and ended_at is null)
$$;

-- Whether order workers trade a family, as they reported last, which this user and account are not declared for.
create function private.family_excludes(p_user uuid, p_client_id text) returns boolean
language sql volatile set search_path = '' as $$
  select coalesce((select report.mode = 'family' from private.ruling_report() as report), false)
    and not private.is_declared(p_user, p_client_id)
$$;

-- As before, and `not_a_member`: nobody is sent to Dhan whose connection would be refused.
alter function public.begin_dhan_consent(text, text) set schema private;
create function public.begin_dhan_consent(p_client_id text, p_state_hash text) returns text
language plpgsql security definer set search_path = '' as $$
begin
  if private.family_excludes(private.signed_in_user(), p_client_id) then
    return 'not_a_member';
  end if;
  return private.begin_dhan_consent(p_client_id, p_state_hash);
end $$;

-- As before, and `not_a_member`: nothing is stored.
alter function public.store_dhan_token(text, text, timestamptz) set schema private;
create function public.store_dhan_token(p_client_id text, p_token text, p_expiry timestamptz) returns text
language plpgsql security definer set search_path = '' as $$
begin
  if private.family_excludes(private.writing_user(), p_client_id) then
    return 'not_a_member';
  end if;
  return private.store_dhan_token(p_client_id, p_token, p_expiry);
end $$;

-- As before; in a family the account is one that is declared.
create or replace function public.platform_status() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object(
    'mode', report.mode,
    'alive', private.report_lives(report),
    'admits_this_account', case when report.mode = 'family' then exists (
        select from public.family_members as member
        left join public.user_trading_keys as keys on keys.user_id = member.user_id
        where member.user_id = private.signed_in_user() and member.ended_at is null
          and coalesce(keys.dhan_client_id, member.dhan_client_id) = member.dhan_client_id)
      else report.own_client_id is null or coalesce(report.own_client_id = (
        select dhan_client_id from public.user_trading_keys where user_id = private.signed_in_user()), false) end,
    'max_order_value_rupees', report.max_order_value_rupees,
    'max_orders_per_day', report.max_orders_per_day,
    'reported_at', report.reported_at,
    'halted', (
      select beside.halted from private.platform_reports as beside
      where private.report_lives(beside) and beside.mode = report.mode and beside.halted is not null
      order by beside.halted = 'kill_switch' desc, beside.reported_at desc limit 1))
  from private.ruling_report() as report
$$;

-- Before private.refuse_switch_on_other_terms: triggers fire by name. Nobody is exempt, the owner of the database neither.
create function private.refuse_switch_of_no_member() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('platform_reports', 0));
  if private.family_excludes(new.user_id, new.dhan_client_id) then
    raise exception 'trading cannot be switched on: the account is not declared as a member of the family'
      using errcode = 'P0001', detail = 'not_a_member', hint = 'The operator declares members with ats members add.';
  end if;
  return new;
end $$;
create trigger switch_on_as_member_by_insert before insert on public.user_trading_keys
  for each row when (new.is_trading_enabled) execute function private.refuse_switch_of_no_member();
create trigger switch_on_as_member_by_update before update on public.user_trading_keys
  for each row when (new.is_trading_enabled and not old.is_trading_enabled)
  execute function private.refuse_switch_of_no_member();

-- As before, and no new claim for whom the family excludes. Who was a member may still close what they hold.
alter function public.claim_order(uuid, uuid, uuid, text, jsonb, boolean) set schema private;
create function public.claim_order(
  p_user uuid, p_decision uuid, p_order uuid, p_correlation_id text, p_terms jsonb default null,
  p_closes boolean default false
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_account constant text := (select dhan_client_id from public.user_trading_keys where user_id = p_user);
begin
  if private.family_excludes(p_user, v_account)
    and not exists (select from private.order_claims where user_id = p_user and decision_id = p_decision)
    and not (coalesce(p_closes, false) and exists (
      select from public.family_members where user_id = p_user and dhan_client_id = v_account)) then
    return jsonb_build_object('status', 'refused', 'reason', 'not_a_member');
  end if;
  return private.claim_order(p_user, p_decision, p_order, p_correlation_id, p_terms, p_closes);
end $$;

-- what the moved functions were granted
revoke execute on function private.begin_dhan_consent, private.store_dhan_token from authenticated;
revoke execute on function private.claim_order from service_role;
revoke execute on function private.is_declared, private.family_excludes, private.refuse_switch_of_no_member
  from public, anon, authenticated, service_role;
revoke execute on function public.declare_member, public.end_membership, public.members_declared,
  public.begin_dhan_consent, public.store_dhan_token, public.claim_order
  from public, anon, authenticated, service_role;
grant execute on function public.declare_member, public.end_membership, public.members_declared, public.claim_order
  to service_role;
grant execute on function public.begin_dhan_consent, public.store_dhan_token to authenticated;
