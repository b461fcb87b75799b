-- Operators see every user's day and may halt. The service role alone declares them (`ats operators`): no page, and no claim
-- of a token, makes one. Each of their actions is a row that stays.

create table public.operators (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete restrict,
  name text not null check (length(name) between 1 and 100),  -- as it stands in halts
  added_by text not null check (length(added_by) between 1 and 100),
  added_at timestamptz not null default clock_timestamp(),
  removed_at timestamptz,
  removed_by text check (length(removed_by) between 1 and 100),
  remove_reason text check (length(remove_reason) between 1 and 500),
  constraint removed_by_somebody check (num_nonnulls(removed_at, removed_by, remove_reason) in (0, 3))
);
comment on table public.operators is 'Who operates the platform. In force while removed_at is null.';
create unique index one_operator_of_a_user on public.operators (user_id) where removed_at is null;

create trigger operators_stay before delete on public.operators
  for each row execute function private.refuse_rewriting();
create trigger operators_change_once before update on public.operators
  for each row when (
    old.removed_at is not null
    or (old.id, old.user_id, old.name, old.added_by, old.added_at)
      is distinct from (new.id, new.user_id, new.name, new.added_by, new.added_at))
  execute function private.refuse_rewriting();

create table public.operator_actions (
  id bigint generated always as identity primary key,
  operator_id bigint not null references public.operators (id),
  action text not null check (action in ('halt', 'reduce', 'flatten', 'resume')),
  user_id uuid references auth.users (id) on delete restrict,  -- null: everybody
  reason text not null check (length(reason) between 1 and 500),
  outcome jsonb not null,  -- what the function beneath answered
  at timestamptz not null default clock_timestamp(),
  constraint only_one_user_is_flattened check (user_id is not null or action <> 'flatten')
);
comment on table public.operator_actions is 'What operators did on the console: who, when, to whom and why.';
create index operator_actions_operator_id on public.operator_actions (operator_id);
create index operator_actions_user_id on public.operator_actions (user_id);
create trigger actions_stay before update or delete on public.operator_actions
  for each row execute function private.refuse_rewriting();

-- Without a policy on purpose: operators read through the functions below, which ask who calls.
alter table public.operators enable row level security;
alter table public.operator_actions enable row level security;
revoke all on public.operators, public.operator_actions from public, anon, authenticated, service_role;
grant select on public.operators, public.operator_actions to service_role;

-- `status` is `added`, or what stands in the way.
create function public.add_operator(p_user uuid, p_name text, p_by text) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
begin
  if not exists (select from auth.users where id = p_user) then
    return jsonb_build_object('status', 'unknown_user');
  end if;
  insert into public.operators (user_id, name, added_by) values (p_user, p_name, p_by)
  on conflict (user_id) where removed_at is null do nothing;
  return jsonb_build_object('status', case when found then 'added' else 'operator_already' end);
end $$;

-- Whether the user was one. What they halted stays halted.
create function public.remove_operator(p_user uuid, p_by text, p_reason text) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
begin
  update public.operators set removed_at = clock_timestamp(), removed_by = p_by, remove_reason = p_reason
  where user_id = p_user and removed_at is null;
  return found;
end $$;

-- For pages, which show the way to the console to operators only. What the console tells and does asks again.
create function public.is_operator() returns boolean
language sql volatile security definer set search_path = '' as $$
  select exists (
    select from public.operators where user_id = private.writing_user() and removed_at is null)
$$;

-- The caller, who operates and whose session lives.
create function private.acting_operator() returns public.operators
language plpgsql volatile set search_path = '' as $$
declare
  v_operator public.operators;
begin
  select * into v_operator from public.operators where user_id = private.writing_user() and removed_at is null;
  if not found then
    raise exception 'only operators may' using errcode = '42501', detail = 'no_operator';
  end if;
  return v_operator;
end $$;

-- What the database knows of every user who ever connected Dhan, and of halts; a thousand users at most.
create function public.operator_view() returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_operator constant public.operators := private.acting_operator();
begin
  return jsonb_build_object(
    'operator', v_operator.name,
    'users', (
      select coalesce(jsonb_agg(to_jsonb(one) order by one.user_id), '[]'::jsonb) from (
        select keys.user_id, users.email, keys.dhan_client_id, keys.is_trading_enabled, keys.token_expiry
        from public.user_trading_keys as keys join auth.users as users on users.id = keys.user_id
        order by keys.user_id limit 1000) as one),
    'halts', (
      select coalesce(jsonb_agg(to_jsonb(one) order by one.id), '[]'::jsonb) from (
        select halt.id, halt.user_id, halt.own, halt.halted_by, halt.reason, halt.flatten, halt.all_orders, halt.since,
          halt.until
        from public.trading_halts as halt
        where halt.lifted_at is null and private.in_force(halt) order by halt.id limit 1000) as one));
end $$;

-- The newest fifty actions before `p_before`; without one the newest of all.
create function public.operator_actions_before(p_before bigint default null) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform private.acting_operator();
  return (
    select coalesce(jsonb_agg(to_jsonb(one) order by one.id desc), '[]'::jsonb) from (
      select act.id, operator.name as operator, act.action, act.user_id, act.reason, act.at
      from public.operator_actions as act join public.operators as operator on operator.id = act.operator_id
      where act.id < coalesce(p_before, 9223372036854775807)
      order by act.id desc limit 50) as one);
end $$;

-- Halts one user, or everybody when `p_user` is null, by the functions that `ats kill` calls. `halt`: no order of a decision.
-- `reduce`: no entry; whoever was halted may close from then on. `flatten`: no entry, and positions are closed. `resume`: ends
-- what operators set. One transaction: between the halt that ends and the one that begins nothing is claimed.
create function public.operator_act(p_action text, p_user uuid, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_operator constant public.operators := private.acting_operator();
  v_reason constant text := pg_catalog.btrim(p_reason);
  v_held boolean;
  v_flatten boolean;
  v_kill boolean;
  v_lifted integer := 0;
  v_outcome jsonb := '{}';
begin
  select coalesce(bool_or(halt.all_orders), false), coalesce(bool_or(halt.flatten), false),
    coalesce(bool_or(halt.broker_kill), false)
  into v_held, v_flatten, v_kill
  from public.trading_halts as halt
  where halt.lifted_at is null and halt.user_id is not distinct from p_user and not halt.own and private.in_force(halt);
  if p_action = 'resume' or (p_action = 'reduce' and v_held) then
    v_lifted := public.lift_halt(p_user, v_operator.name, v_reason);
  end if;
  if p_action = 'halt' then
    v_outcome := public.impose_halt(p_user, v_operator.name, v_reason, true);
  elsif p_action = 'reduce' then
    v_outcome := public.halt_trading(p_user, v_operator.name, v_reason, v_flatten, v_kill);
  elsif p_action = 'flatten' then
    v_outcome := public.halt_trading(p_user, v_operator.name, v_reason, true);
  end if;
  v_outcome := v_outcome || jsonb_build_object('lifted', v_lifted);
  insert into public.operator_actions (operator_id, action, user_id, reason, outcome)
  values (v_operator.id, p_action, p_user, v_reason, v_outcome);
  return v_outcome;
end $$;

revoke execute on function private.acting_operator from public, anon, authenticated, service_role;
revoke execute on function public.add_operator, public.remove_operator, public.is_operator, public.operator_view,
  public.operator_actions_before, public.operator_act from public, anon, authenticated, service_role;
grant execute on function public.add_operator, public.remove_operator to service_role;
grant execute on function public.is_operator, public.operator_view, public.operator_actions_before, public.operator_act
  to authenticated;
