-- Approve before send: while an operator has it switched on, a decision is left here before its entries are sent, and a person
-- says yes or no to it. Until the yes no entry of it is claimed; without one at the deadline the answer is no. What only
-- closes never waits.
--
-- A decision that was left once needs its yes, also after the mode was switched off.

create table private.approval_modes (
  id bigint generated always as identity primary key,
  seconds integer not null check (seconds between 10 and 300),  -- what a decision waits at most
  began_by text not null check (length(began_by) between 1 and 100),
  reason text not null check (length(reason) between 1 and 500),
  since timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  ended_by text check (length(ended_by) between 1 and 100),
  end_reason text check (length(end_reason) between 1 and 500),
  constraint ended_by_somebody check (num_nonnulls(ended_at, ended_by, end_reason) in (0, 3))
);
comment on table private.approval_modes is 'When entries waited for an operator''s yes, and who wanted it so. In force while ended_at is null.';
create unique index one_approval_mode_in_force on private.approval_modes ((true)) where ended_at is null;

create trigger approval_modes_stay before delete on private.approval_modes
  for each row execute function private.refuse_rewriting();
create trigger approval_modes_change_once before update on private.approval_modes
  for each row when (
    old.ended_at is not null
    or (old.id, old.seconds, old.began_by, old.reason, old.since)
      is distinct from (new.id, new.seconds, new.began_by, new.reason, new.since))
  execute function private.refuse_rewriting();

create table private.approvals (
  decision_id uuid primary key references public.trade_decisions (id) on delete restrict,
  mode_id bigint not null references private.approval_modes (id),
  record text not null,  -- of ats.decisions, where it stands there, and when it was published
  partition integer not null,
  place bigint not null,
  published_at bigint not null,
  exits uuid[] not null,  -- users whose order closes a position: it did not wait
  users integer not null check (users > 0),  -- whose entries wait
  value_paise bigint not null check (value_paise > 0),  -- of all those entries
  asked_at timestamptz not null default clock_timestamp(),
  deadline timestamptz not null,
  answer text check (answer in ('yes', 'no', 'timed_out')),
  answered_at timestamptz,
  answered_by text check (length(answered_by) between 1 and 100),
  answer_reason text check (length(answer_reason) between 1 and 500),
  told_at timestamptz,  -- the messages of the answer are on Kafka
  held_until timestamptz not null default '-infinity',  -- until then somebody is writing them
  constraint answered_at_some_time check (num_nonnulls(answer, answered_at) in (0, 2)),
  constraint answered_by_a_person check (coalesce(answer in ('yes', 'no'), false) = (answered_by is not null))
);
comment on table private.approvals is 'Decisions whose entries waited for an operator''s yes, and what the answer was.';
create index approvals_mode_id on private.approvals (mode_id);
create index approvals_untold on private.approvals (held_until) where told_at is null;
create index approvals_waiting on private.approvals (deadline) where answer is null;
create index approvals_answered_at on private.approvals (answered_at);

create trigger approvals_stay before delete on private.approvals
  for each row execute function private.refuse_rewriting();
create trigger approvals_are_answered_once before update on private.approvals
  for each row when (
    (old.decision_id, old.mode_id, old.record, old.exits, old.users, old.value_paise, old.asked_at, old.deadline)
      is distinct from
      (new.decision_id, new.mode_id, new.record, new.exits, new.users, new.value_paise, new.asked_at, new.deadline)
    or old.answer is not null and (old.answer, old.answered_at, old.answered_by, old.answer_reason)
      is distinct from (new.answer, new.answered_at, new.answered_by, new.answer_reason))
  execute function private.refuse_rewriting();

alter table private.approval_modes enable row level security;
alter table private.approvals enable row level security;

-- Whether an entry of `p_decision` may not be claimed for want of a yes. To be asked after private.is_halted, whose lock keeps
-- a claim wholly before the mode, or lets it see it.
create function private.approval_missing(p_decision uuid) returns boolean
language sql volatile set search_path = '' as $$
  select coalesce(
    (select approval.answer is distinct from 'yes' from private.approvals as approval where decision_id = p_decision),
    exists (select from private.approval_modes where ended_at is null))
$$;

-- Entries wait for `p_seconds` from now on; null: decisions to come wait no more. Whether that changes anything.
create function public.set_approvals(p_seconds integer, p_by text, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_changed boolean;
begin
  perform private.wait_for_claims(null);
  update private.approval_modes set ended_at = clock_timestamp(), ended_by = p_by, end_reason = p_reason
  where ended_at is null and seconds is distinct from p_seconds;
  v_changed := found;
  if p_seconds is not null then
    insert into private.approval_modes (seconds, began_by, reason) values (p_seconds, p_by, p_reason)
    on conflict ((true)) where ended_at is null do nothing;
    v_changed := found;
  end if;
  return jsonb_build_object('changed', v_changed);
end $$;

-- For order workers: `off`, or `left` until `until`, whatever became of it since. Time is given as what is left of the
-- decision's own, so that it does not matter what time a worker takes it to be.
create function public.leave_decision(
  p_decision uuid, p_record text, p_partition integer, p_place bigint, p_published_at bigint, p_exits uuid[],
  p_users integer, p_value_paise bigint, p_left_ms bigint
) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_mode private.approval_modes;
  v_approval private.approvals;
begin
  select * into v_mode from private.approval_modes where ended_at is null;
  if v_mode.id is not null then
    insert into private.approvals
      (decision_id, mode_id, record, partition, place, published_at, exits, users, value_paise, deadline)
    values (
      p_decision, v_mode.id, p_record, p_partition, p_place, p_published_at, p_exits, p_users, p_value_paise,
      clock_timestamp() + greatest(0, least(v_mode.seconds * 1000, p_left_ms)) * interval '1 millisecond')
    on conflict (decision_id) do nothing;
  end if;
  select * into v_approval from private.approvals where decision_id = p_decision;
  if v_approval.decision_id is null then
    return jsonb_build_object('status', 'off');
  end if;
  return jsonb_build_object('status', 'left', 'exits', v_approval.exits, 'until', v_approval.deadline);
end $$;

-- Up to `p_limit` decisions that were answered and not told, for the caller alone during `p_hold_ms`; whether the mode is on,
-- and how many wait. What passed its deadline is answered here: from then on no yes counts.
create function public.take_approvals(p_limit integer, p_hold_ms integer) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_due jsonb;
begin
  update private.approvals set answer = 'timed_out', answered_at = clock_timestamp()
  where told_at is null and answer is null and deadline <= clock_timestamp();
  with due as (
    select decision_id from private.approvals
    where told_at is null and answer is not null and held_until <= clock_timestamp()
    order by answered_at limit p_limit for update skip locked
  ), taken as (
    update private.approvals as approval set held_until = clock_timestamp() + p_hold_ms * interval '1 millisecond'
    from due where approval.decision_id = due.decision_id
    returning approval.*
  )
  select jsonb_agg(jsonb_build_object(
    'decision_id', decision_id, 'record', record, 'partition', partition, 'place', place, 'published_at', published_at, 'exits', exits,
    'answer', answer, 'until', deadline)) into v_due
  from taken;
  return (
    select jsonb_build_object(
      'on', exists (select from private.approval_modes where ended_at is null), 'due', coalesce(v_due, '[]'::jsonb),
      'waiting', count(*) filter (where answer is null), 'oldest_ms', private.claim_age_ms(min(asked_at)))
    from private.approvals where told_at is null);
end $$;

-- Kafka has acknowledged the messages of the answer.
create function public.approval_told(p_decision uuid) returns void
language sql volatile security definer set search_path = '' as $$
  update private.approvals set told_at = clock_timestamp() where decision_id = p_decision and told_at is null
$$;

-- `status` is `answered`, or why not: `answered_already`, `timed_out`, `unknown`. The first answer stands.
create function public.answer_approval(p_decision uuid, p_yes boolean, p_by text, p_reason text default null) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_approval private.approvals;
  v_first boolean;
begin
  update private.approvals set answer = case when p_yes then 'yes' else 'no' end, answered_at = clock_timestamp(),
    answered_by = p_by, answer_reason = nullif(pg_catalog.btrim(p_reason), '')
  where decision_id = p_decision and answer is null and deadline > clock_timestamp();
  v_first := found;
  select * into v_approval from private.approvals where decision_id = p_decision;
  return jsonb_build_object(
    'status', case when v_first then 'answered' when v_approval.decision_id is null then 'unknown'
      when coalesce(v_approval.answer, 'timed_out') = 'timed_out' then 'timed_out' else 'answered_already' end,
    'answer', v_approval.answer, 'by', v_approval.answered_by);
end $$;

-- The mode, up to a hundred decisions that wait, and the twenty that were answered last.
create function public.approvals_view() returns jsonb
language sql volatile security definer set search_path = '' as $$
  with shown as not materialized (
    select decision_id, record::jsonb ->> 'symbol' as symbol, record::jsonb ->> 'instrument' as instrument,
      record::jsonb ->> 'action' as action, (record::jsonb ->> 'reference_price')::bigint as price_paise, users,
      value_paise, asked_at, deadline, answer, answered_at, answered_by, answer_reason,
      round(extract(epoch from deadline - clock_timestamp()) * 1000)::bigint as left_ms
    from private.approvals
  )
  select jsonb_build_object(
    'mode', (
      select to_jsonb(one) from (
        select seconds, began_by, reason, since from private.approval_modes where ended_at is null) as one),
    'waiting', (
      select coalesce(jsonb_agg(to_jsonb(one) order by one.deadline), '[]'::jsonb) from (
        select * from shown where answer is null and left_ms > 0 order by deadline limit 100) as one),
    'answered', (
      select coalesce(jsonb_agg(to_jsonb(one) order by one.answered_at desc), '[]'::jsonb) from (
        select * from shown where answer is not null order by answered_at desc limit 20) as one))
$$;

alter table public.operator_actions drop constraint operator_actions_action_check;
alter table public.operator_actions add constraint operator_actions_action_check check (action in (
  'halt', 'reduce', 'flatten', 'resume', 'approvals_on', 'approvals_off', 'approve', 'refuse'));

-- What operators do about approvals on the console: `approvals_on` for `p_seconds`, `approvals_off`, and `approve` or `refuse`
-- of `p_decision`, which need no reason: there is little time. One transaction with its row in public.operator_actions.
create function public.operator_approve(p_action text, p_decision uuid, p_seconds integer, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_operator constant public.operators := private.acting_operator();
  v_reason text := pg_catalog.btrim(p_reason);
  v_outcome jsonb;
begin
  if p_action in ('approvals_on', 'approvals_off') then
    v_outcome := public.set_approvals(
      case p_action when 'approvals_on' then coalesce(p_seconds, 60) end, v_operator.name, v_reason);
  elsif p_action in ('approve', 'refuse') then
    v_outcome := public.answer_approval(p_decision, p_action = 'approve', v_operator.name, v_reason)
      || jsonb_build_object('decision', p_decision);
    v_reason := coalesce(nullif(v_reason, ''), p_action);
  else
    raise exception 'not an action on approvals: %', p_action using errcode = '22023';
  end if;
  insert into public.operator_actions (operator_id, action, user_id, reason, outcome)
  values (v_operator.id, p_action, null, v_reason, v_outcome);
  return v_outcome;
end $$;

-- As before, and with what waits for a yes.
create or replace function public.operator_view() returns jsonb
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
        where halt.lifted_at is null and private.in_force(halt) order by halt.id limit 1000) as one),
    'approvals', public.approvals_view());
end $$;

-- As before; and no entry of a decision that lacks a yes which it needs. public.claim_order calls it.
create or replace function private.claim_order(
  p_user uuid, p_decision uuid, p_order uuid, p_correlation_id text, p_terms jsonb default null,
  p_closes boolean default false
) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_closes constant boolean := coalesce(p_closes, false);
  v_keys public.user_trading_keys;
  v_claim private.order_claims;
  v_decision public.trade_decisions;
  v_refusal text;
begin
  if p_correlation_id is null or p_correlation_id !~ '^[A-Za-z0-9_-]{1,30}$' then
    raise exception 'not a Dhan correlation id: expected 1 to 30 letters, digits, - or _' using errcode = '22023';
  end if;
  -- Exclusive and not shared: claims of one user queue behind each other and behind a switch-off, so neither starves.
  select * into v_keys from public.user_trading_keys where user_id = p_user for no key update;
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if not found then
    select * into v_decision from public.trade_decisions where id = p_decision;
    if found and (v_decision.action <> p_terms ->> 'side' or v_decision.symbol <> p_terms ->> 'symbol') then
      return jsonb_build_object('status', 'differs', 'action', v_decision.action, 'symbol', v_decision.symbol);
    end if;
    v_refusal := case
      when v_keys.user_id is not null and not v_keys.is_trading_enabled and not v_closes then 'switched_off'
      else coalesce(
        private.token_refusal(v_keys), case when private.token_is_refused(p_user) then 'token_refused' end,
        case when not v_closes and private.has_unresolved_order(p_user) then 'order_unresolved' end)
    end;
    if v_refusal is not null then
      return jsonb_build_object('status', 'refused', 'reason', v_refusal);
    end if;
    -- A denial may be settled at this very moment, without the lock above: then it waits here and finds the row taken.
    -- One at a time for this pair: beside the primary key, order_id is unique too, and a clash there would be an error.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
    if private.is_stopped(p_user) then
      return jsonb_build_object('status', 'refused', 'reason', 'stopped');
    elsif not v_closes and private.is_halted(p_user) then
      return jsonb_build_object('status', 'refused', 'reason', 'halted');
    elsif not v_closes and private.approval_missing(p_decision) then
      return jsonb_build_object('status', 'refused', 'reason', 'not_approved');
    end if;
    insert into private.order_claims
      (user_id, decision_id, order_id, correlation_id, claimed_at, terms, dhan_client_id, closes)
    values (
      p_user, p_decision, p_order, p_correlation_id, clock_timestamp(), p_terms, v_keys.dhan_client_id, v_closes)
    on conflict (user_id, decision_id) do nothing;
    if found then
      perform private.audit_key(p_user, 'claimed', p_decision);
      return jsonb_build_object(
        'status', 'claimed', 'dhan_client_id', v_keys.dhan_client_id,
        'access_token', v_keys.dhan_access_token, 'token_expiry', v_keys.token_expiry,
        'token_version', (select version from private.stored_tokens where user_id = p_user));
    end if;
    select * into strict v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  end if;
  return jsonb_build_object(
    'status', 'taken', 'age_ms', private.claim_age_ms(v_claim.recorded_at), 'correlation_id', v_claim.correlation_id,
    'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id, 'reason', v_claim.reason, 'terms', v_claim.terms);
end $$;

revoke execute on function private.approval_missing from public, anon, authenticated, service_role;
revoke execute on function public.set_approvals, public.leave_decision, public.take_approvals, public.approval_told,
  public.answer_approval, public.approvals_view, public.operator_approve from public, anon, authenticated, service_role;
grant execute on function public.set_approvals, public.leave_decision, public.take_approvals, public.approval_told,
  public.answer_approval, public.approvals_view to service_role;
grant execute on function public.operator_approve to authenticated;
