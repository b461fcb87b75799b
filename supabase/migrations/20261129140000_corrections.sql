-- A recorded outcome can turn out wrong: an order is found after it was recorded as not found, or rejected after it was
-- accepted. What was recorded stays; what is known now is appended. And each claim keeps the account it was given for.

alter table private.order_claims
  -- The Dhan account whose token the claim handed out. Null: never claimed, or claimed before this migration.
  add column dhan_client_id text,
  -- When nothing could happen to the order any more, as Dhan's order book showed it. Null: still to be checked.
  add column final_at timestamptz;
create index order_claims_not_final on private.order_claims (claimed_at)
  where final_at is null and outcome in ('accepted', 'not_found');

create table private.order_corrections (
  user_id uuid not null,
  decision_id uuid not null,
  nth integer not null check (nth >= 1),
  order_id uuid not null,
  from_outcome text not null check (from_outcome in ('accepted', 'rejected', 'not_found')),
  outcome text not null check (outcome in ('accepted', 'rejected', 'not_found')),
  dhan_order_id text,
  reason text not null check (length(reason) between 1 and 1000),
  -- Who corrected by hand. Null: the order workers, from what Dhan's order book shows.
  corrected_by text check (length(corrected_by) between 1 and 100),
  at timestamptz not null default clock_timestamp(),
  primary key (user_id, decision_id, nth),
  foreign key (user_id, decision_id) references private.order_claims (user_id, decision_id),
  constraint accepted_has_an_order check (outcome <> 'accepted' or dhan_order_id is not null)
);
comment on table private.order_corrections is
  'What became known of a settled order later, one row a change. The last row of an order is what is known now.';
alter table private.order_corrections enable row level security;

-- Rows wait here, from the transaction that corrects, until their message is on ats.executions.
create table private.unpublished_corrections (
  user_id uuid not null,
  decision_id uuid not null,
  nth integer not null,
  primary key (user_id, decision_id, nth),
  foreign key (user_id, decision_id, nth) references private.order_corrections (user_id, decision_id, nth)
);
comment on table private.unpublished_corrections is 'Corrections whose message Kafka has not acknowledged.';
alter table private.unpublished_corrections enable row level security;

create table private.hand_settlements (
  order_id uuid primary key,
  user_id uuid not null,
  decision_id uuid not null,
  outcome text not null,
  dhan_order_id text,
  reason text not null check (length(reason) between 1 and 900),
  settled_by text not null check (length(settled_by) between 1 and 100),
  at timestamptz not null default clock_timestamp(),
  foreign key (user_id, decision_id) references private.order_claims (user_id, decision_id)
);
comment on table private.hand_settlements is 'Open claims that a person settled: who, how and why.';
create index hand_settlements_claim on private.hand_settlements (user_id, decision_id);
alter table private.hand_settlements enable row level security;

create trigger corrections_stay before update or delete on private.order_corrections
  for each row execute function private.refuse_rewriting();
create trigger hand_settlements_stay before update or delete on private.hand_settlements
  for each row execute function private.refuse_rewriting();

create table private.order_checks (
  user_id uuid primary key references auth.users (id) on delete cascade,
  checked_at timestamptz not null
);
comment on table private.order_checks is 'When an order worker last began to compare a user''s orders with Dhan''s book.';
alter table private.order_checks enable row level security;

-- Each claim with what is known now. `nth` counts its corrections.
create view private.order_outcomes as
select claim.user_id, claim.decision_id, claim.order_id, claim.correlation_id, claim.dhan_client_id, claim.terms,
  claim.claimed_at, claim.settled_at, claim.final_at, claim.outcome as first_outcome,
  coalesce(correction.outcome, claim.outcome) as outcome,
  case when correction.nth is null then claim.dhan_order_id else correction.dhan_order_id end as dhan_order_id,
  case when correction.nth is null then claim.reason else correction.reason end as reason,
  coalesce(correction.nth, 0) as nth
from private.order_claims as claim
left join lateral (
  select * from private.order_corrections as later
  where later.user_id = claim.user_id and later.decision_id = claim.decision_id order by later.nth desc limit 1
) as correction on true;

-- Orders that Dhan's book of today may still show otherwise than recorded.
create view private.changing_orders as
select * from private.order_outcomes
where final_at is null and first_outcome in ('accepted', 'not_found') and terms is not null
  and claimed_at >= date_trunc('day', clock_timestamp() at time zone 'Asia/Kolkata') at time zone 'Asia/Kolkata';

-- Why the stored token cannot be used to look at orders of the account `p_account` (null: any), or null when it can.
create function private.lookup_refusal(p_keys public.user_trading_keys, p_account text) returns text
language sql volatile set search_path = '' as $$
  select coalesce(
    private.token_refusal(p_keys), case when p_account <> (p_keys).dhan_client_id then 'other_account' end)
$$;

-- As before, and the claim keeps the account.
create or replace function public.claim_order(
  p_user uuid, p_decision uuid, p_order uuid, p_correlation_id text, p_terms jsonb default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
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
      when v_keys.user_id is not null and not v_keys.is_trading_enabled then 'switched_off'
      else coalesce(
        private.token_refusal(v_keys), case when private.token_is_refused(p_user) then 'token_refused' end)
    end;
    if v_refusal is not null then
      return jsonb_build_object('status', 'refused', 'reason', v_refusal);
    end if;
    -- A denial may be settled at this very moment, without the lock above: then it waits here and finds the row taken.
    -- One at a time for this pair: beside the primary key, order_id is unique too, and a clash there would be an error.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
    insert into private.order_claims
      (user_id, decision_id, order_id, correlation_id, claimed_at, terms, dhan_client_id)
    values (p_user, p_decision, p_order, p_correlation_id, clock_timestamp(), p_terms, v_keys.dhan_client_id)
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

-- As before, and only a token of the claim's own account is handed out: another account's book says nothing about it.
create or replace function public.reconcile_order(p_user uuid, p_decision uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_keys public.user_trading_keys;
  v_claim private.order_claims;
  v_refusal text;
  v_version bigint;
begin
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if not found then
    return jsonb_build_object('status', 'absent');
  elsif v_claim.outcome is not null then
    return jsonb_build_object(
      'status', 'settled', 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id,
      'reason', v_claim.reason, 'correlation_id', v_claim.correlation_id, 'terms', v_claim.terms);
  end if;
  -- The version before the token: when another one is stored in between, a refusal of it hits nothing instead of
  -- a token that nobody tried.
  select version into v_version from private.stored_tokens where user_id = p_user;
  select * into v_keys from public.user_trading_keys where user_id = p_user;
  v_refusal := private.lookup_refusal(v_keys, v_claim.dhan_client_id);
  if v_refusal is not null then
    return jsonb_build_object('status', 'refused', 'reason', v_refusal);
  end if;
  perform private.audit_key(p_user, 'reconciled', p_decision);
  return jsonb_build_object(
    'status', 'open', 'dhan_client_id', v_keys.dhan_client_id, 'access_token', v_keys.dhan_access_token,
    'correlation_id', v_claim.correlation_id, 'age_ms', private.claim_age_ms(v_claim.claimed_at),
    'token_version', v_version);
end $$;

-- As before. The lock is against a correction that takes the decision's last accepted order away at the same time: it
-- looks at the orders of all users, each of which may be settled just now.
create or replace function private.log_outcome(p_claim private.order_claims) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.user_trade_logs (user_id, decision_id, dhan_order_id, status, failure_reason)
  values (
    p_claim.user_id, p_claim.decision_id, p_claim.dhan_order_id,
    case when p_claim.outcome = 'accepted' then 'SUCCESS' else 'FAILED' end,
    case when p_claim.outcome <> 'accepted' then coalesce(nullif(p_claim.reason, ''), p_claim.outcome) end);
  if p_claim.outcome = 'accepted' then
    perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('executed ' || p_claim.decision_id, 0));
    update public.trade_decisions set is_executed = true where id = p_claim.decision_id and not is_executed;
  end if;
end $$;

-- `corrected`, or `stands` with what is known already, `absent`, `open` or `never_sent`. Order workers (no `p_by`) only go
-- on from not_found to accepted to rejected, as Dhan's book does: what one of them saw a while ago takes nothing back. So a
-- correction told twice is one row.
create function private.append_correction(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text, p_reason text, p_by text
) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_known private.order_outcomes;
  v_onwards boolean;
  v_dhan_order_id text;
begin
  if p_outcome is null or p_outcome not in ('accepted', 'rejected', 'not_found') then
    raise exception 'not an outcome of an order that was sent: %', p_outcome using errcode = '22023';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
  select * into v_known from private.order_outcomes where user_id = p_user and decision_id = p_decision;
  if not found then
    return jsonb_build_object('status', 'absent');
  elsif v_known.order_id <> p_order then
    raise exception 'user % and decision % belong to order %, not %', p_user, p_decision, v_known.order_id, p_order
      using errcode = '22023';
  elsif v_known.outcome is null then
    return jsonb_build_object('status', 'open');
  elsif v_known.outcome = 'denied' then
    return jsonb_build_object('status', 'never_sent');
  end if;
  v_dhan_order_id := case when p_outcome <> 'not_found' then coalesce(p_dhan_order_id, v_known.dhan_order_id) end;
  v_onwards := case
    when p_by is not null then
      (p_outcome, v_dhan_order_id) is distinct from (v_known.outcome, v_known.dhan_order_id)
    else v_known.outcome = 'not_found' and p_outcome <> 'not_found'
      or v_known.outcome = 'accepted' and p_outcome = 'rejected' end;
  if v_onwards then
    insert into private.order_corrections
      (user_id, decision_id, nth, order_id, from_outcome, outcome, dhan_order_id, reason, corrected_by)
    values (
      p_user, p_decision, v_known.nth + 1, p_order, v_known.outcome, p_outcome, v_dhan_order_id, p_reason, p_by);
    -- Without terms it was claimed by an order worker of an older version, and nobody could make the message.
    insert into private.unpublished_corrections (user_id, decision_id, nth)
    select p_user, p_decision, v_known.nth + 1 where v_known.terms is not null;
    update private.order_claims set final_at = clock_timestamp()
    where user_id = p_user and decision_id = p_decision and p_outcome = 'rejected' and final_at is null;
    perform private.follow_execution(p_decision);
    select * into strict v_known from private.order_outcomes where user_id = p_user and decision_id = p_decision;
  end if;
  return jsonb_build_object(
    'status', case when v_onwards then 'corrected' else 'stands' end, 'nth', v_known.nth, 'outcome', v_known.outcome,
    'dhan_order_id', v_known.dhan_order_id, 'reason', v_known.reason);
end $$;

-- A decision counts as executed while an order of it is known to be accepted.
create function private.follow_execution(p_decision uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_executed boolean;
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('executed ' || p_decision, 0));
  v_executed := exists (
    select from private.order_outcomes where decision_id = p_decision and outcome = 'accepted');
  update public.trade_decisions set is_executed = v_executed where id = p_decision and is_executed <> v_executed;
end $$;

create function public.correct_order(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text, p_reason text
) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select private.append_correction(p_user, p_decision, p_order, p_outcome, p_dhan_order_id, p_reason, null)
$$;

create function public.unpublished_corrections(p_limit integer) returns table (
  user_id uuid, decision_id uuid, order_id uuid, nth integer, outcome text, dhan_order_id text, reason text, terms jsonb
)
language sql stable security definer set search_path = '' as $$
  select correction.user_id, correction.decision_id, correction.order_id, correction.nth, correction.outcome,
    correction.dhan_order_id, correction.reason, claim.terms
  from private.unpublished_corrections as waiting
  join private.order_corrections as correction
    on (correction.user_id, correction.decision_id, correction.nth) = (waiting.user_id, waiting.decision_id, waiting.nth)
  join private.order_claims as claim
    on (claim.user_id, claim.decision_id) = (waiting.user_id, waiting.decision_id)
  order by correction.at, correction.nth limit p_limit
$$;

create function public.correction_published(p_user uuid, p_decision uuid, p_nth integer) returns void
language sql volatile security definer set search_path = '' as $$
  delete from private.unpublished_corrections where user_id = p_user and decision_id = p_decision and nth = p_nth
$$;

-- A user's orders are compared with Dhan's book at most once in `p_interval`, and more seldom the longer ago the newest
-- of them was settled: after a tenth of that time. A token stored since the last comparison makes it due at once.
create function private.check_is_due(
  p_checked_at timestamptz, p_newest timestamptz, p_stored_at timestamptz, p_interval interval
) returns boolean
language sql volatile set search_path = '' as $$
  select p_checked_at is null or p_stored_at > p_checked_at
    or p_checked_at <= clock_timestamp() - greatest(p_interval, (clock_timestamp() - p_newest) / 10)
$$;

-- Users whose orders are due, those who waited longest first; nobody whose token cannot be used.
create function public.users_to_check(p_interval_ms integer, p_limit integer) returns table (
  user_id uuid, changing bigint
)
language sql volatile security definer set search_path = '' as $$
  select keys.user_id, count(*)
  from private.changing_orders as changing
  join public.user_trading_keys as keys on keys.user_id = changing.user_id
  join private.stored_tokens as token on token.user_id = keys.user_id
  left join private.order_checks as checked on checked.user_id = keys.user_id
  where private.lookup_refusal(keys, changing.dhan_client_id) is null and token.refused_at is null
  group by keys.user_id, token.stored_at, checked.checked_at
  having private.check_is_due(
    checked.checked_at, max(changing.settled_at), token.stored_at, p_interval_ms * interval '1 millisecond')
  order by checked.checked_at nulls first, keys.user_id limit p_limit
$$;

-- `begun` with the token and the orders to look for, `refused` with the reason, or `not_due`: another order worker has
-- just begun, or nothing is left to check.
create function public.begin_order_check(p_user uuid, p_interval_ms integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_keys public.user_trading_keys;
  v_token private.stored_tokens;
  v_refusal text;
  v_newest timestamptz;
  v_orders jsonb;
begin
  select * into v_token from private.stored_tokens where user_id = p_user;  -- before the token, as in reconcile_order
  select * into v_keys from public.user_trading_keys where user_id = p_user;
  v_refusal := coalesce(
    private.token_refusal(v_keys), case when v_token.refused_at is not null then 'token_refused' end);
  if v_refusal is not null then
    return jsonb_build_object('status', 'refused', 'reason', v_refusal);
  end if;
  select max(listed.settled_at), jsonb_agg(jsonb_build_object(
      'decision_id', listed.decision_id, 'order_id', listed.order_id, 'correlation_id', listed.correlation_id,
      'dhan_order_id', listed.dhan_order_id, 'outcome', listed.outcome))
    into v_newest, v_orders
  from (
    select * from private.changing_orders
    where user_id = p_user and private.lookup_refusal(v_keys, dhan_client_id) is null
    order by settled_at desc limit 1000
  ) as listed;
  insert into private.order_checks as checked (user_id, checked_at)
  select p_user, clock_timestamp() where v_orders is not null
  on conflict (user_id) do update set checked_at = excluded.checked_at
  where private.check_is_due(
    checked.checked_at, v_newest, v_token.stored_at, p_interval_ms * interval '1 millisecond');
  if not found then
    return jsonb_build_object('status', 'not_due');
  end if;
  perform private.audit_key(p_user, 'reconciled');
  return jsonb_build_object(
    'status', 'begun', 'dhan_client_id', v_keys.dhan_client_id, 'access_token', v_keys.dhan_access_token,
    'token_version', v_token.version, 'orders', v_orders);
end $$;

-- Dhan's book shows these accepted orders at an end: they are not checked again.
create function public.mark_orders_final(p_user uuid, p_decisions uuid[]) returns void
language sql volatile security definer set search_path = '' as $$
  update private.order_claims as claim set final_at = clock_timestamp()
  from private.order_outcomes as known
  where claim.user_id = p_user and claim.decision_id = any (p_decisions) and claim.final_at is null
    and (known.user_id, known.decision_id) = (claim.user_id, claim.decision_id) and known.outcome = 'accepted'
$$;

-- For a person: what is open, oldest first, and why the account cannot be asked. No token.
create function public.list_open_claims() returns table (
  order_id uuid, user_id uuid, age_ms bigint, symbol text, side text, quantity bigint, correlation_id text,
  dhan_client_id text, refusal text
)
language sql volatile security definer set search_path = '' as $$
  select claim.order_id, claim.user_id, private.claim_age_ms(claim.claimed_at), claim.terms ->> 'symbol',
    claim.terms ->> 'side', (claim.terms ->> 'quantity')::bigint, claim.correlation_id, claim.dhan_client_id,
    coalesce(
      private.lookup_refusal(keys, claim.dhan_client_id),
      case when private.token_is_refused(claim.user_id) then 'token_refused' end)
  from private.order_claims as claim
  left join public.user_trading_keys as keys on keys.user_id = claim.user_id
  where claim.outcome is null
  order by claim.claimed_at limit 1000
$$;

-- Settle an open claim as a person found it: `settled`, `absent`, `young` while its owner may still be sending, or `taken`
-- with the outcome that is recorded already. Who and why stand in private.hand_settlements.
create function public.settle_claim_by_hand(
  p_order uuid, p_outcome text, p_dhan_order_id text, p_reason text, p_by text, p_min_age_ms integer
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_claim private.order_claims;
  v_settled jsonb;
begin
  if p_outcome is null or p_outcome not in ('accepted', 'rejected', 'not_found') then
    raise exception 'not an outcome of an order that was sent: %', p_outcome using errcode = '22023';
  end if;
  select * into v_claim from private.order_claims where order_id = p_order;
  if not found then
    return jsonb_build_object('status', 'absent');
  elsif v_claim.outcome is null
      and v_claim.claimed_at > clock_timestamp() - p_min_age_ms * interval '1 millisecond' then
    return jsonb_build_object('status', 'young', 'age_ms', private.claim_age_ms(v_claim.claimed_at));
  end if;
  v_settled := public.settle_order(
    v_claim.user_id, v_claim.decision_id, p_order, p_outcome, p_dhan_order_id,
    case when p_outcome <> 'accepted' then 'by_hand: ' || p_reason end);
  if not (v_settled ->> 'first')::boolean then
    return jsonb_build_object('status', 'taken') || v_settled;
  end if;
  insert into private.hand_settlements (order_id, user_id, decision_id, outcome, dhan_order_id, reason, settled_by)
  values (p_order, v_claim.user_id, v_claim.decision_id, p_outcome, p_dhan_order_id, p_reason, p_by);
  return jsonb_build_object('status', 'settled') || v_settled;
end $$;

-- Correct a settled order as a person found it, in any direction: as private.append_correction answers.
create function public.correct_order_by_hand(
  p_order uuid, p_outcome text, p_dhan_order_id text, p_reason text, p_by text
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_claim private.order_claims;
begin
  if p_by is null or length(p_by) = 0 then
    raise exception 'who corrects must be named' using errcode = '22023';
  end if;
  select * into v_claim from private.order_claims where order_id = p_order;
  return private.append_correction(
    v_claim.user_id, v_claim.decision_id, p_order, p_outcome, p_dhan_order_id, 'by_hand: ' || p_reason, p_by);
end $$;

-- What is known now of the caller's own corrected orders, in the words of user_trade_logs.
create function public.own_corrections() returns table (
  decision_id uuid, status text, dhan_order_id text, failure_reason text, corrected_at timestamptz
)
language sql stable security definer set search_path = '' as $$
  select distinct on (correction.decision_id) correction.decision_id,
    case when correction.outcome = 'accepted' then 'SUCCESS' else 'FAILED' end, correction.dhan_order_id,
    case when correction.outcome <> 'accepted' then correction.reason end, correction.at
  from private.order_corrections as correction
  where correction.user_id = private.signed_in_user()
  order by correction.decision_id, correction.nth desc
$$;

-- As before, and an order that was corrected is shown as it is known now. `corrected_at` is null for all others.
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
      select jsonb_agg(to_jsonb(listed) order by listed.recorded_at desc)
      from (
        select log.id, told.recorded_at, decision.action, decision.symbol, decision.reasoning,
          coalesce(corrected.status, log.status) as status,
          case when corrected.status is null then log.dhan_order_id else corrected.dhan_order_id end as dhan_order_id,
          case when corrected.status is null then log.failure_reason else corrected.failure_reason end
            as failure_reason,
          corrected.corrected_at
        from public.user_trade_logs as log
        join public.trade_decisions as decision on decision.id = log.decision_id
        join public.own_order_times() as told on told.decision_id = log.decision_id
        left join public.own_corrections() as corrected on corrected.decision_id = log.decision_id
        where log.user_id = (select auth.uid())
        order by told.recorded_at desc limit 50
      ) as listed
    ), '[]'::jsonb)
  )
$$;

revoke all on private.order_corrections, private.unpublished_corrections, private.hand_settlements,
  private.order_checks, private.order_outcomes, private.changing_orders
  from public, anon, authenticated, service_role;
revoke execute on function private.lookup_refusal, private.append_correction, private.follow_execution,
  private.check_is_due from public, anon, authenticated, service_role;
revoke execute on function public.correct_order, public.unpublished_corrections, public.correction_published,
  public.users_to_check, public.begin_order_check, public.mark_orders_final, public.list_open_claims,
  public.settle_claim_by_hand, public.correct_order_by_hand, public.own_corrections
  from public, anon, authenticated, service_role;
grant execute on function public.correct_order, public.unpublished_corrections, public.correction_published,
  public.users_to_check, public.begin_order_check, public.mark_orders_final, public.list_open_claims,
  public.settle_claim_by_hand, public.correct_order_by_hand to service_role;
grant execute on function public.own_corrections to authenticated;
