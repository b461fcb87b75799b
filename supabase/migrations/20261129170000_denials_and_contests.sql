-- What a hunt found: a late denial ended a claim that another had sent, and made-up tokens, stored again and again, kept an
-- account from its owner.

-- As before, and a denial by somebody who never claimed ends no claim: `outcome` is null then, and the order is to be
-- looked up.
create or replace function public.record_order_outcome(
  p_user uuid, p_decision uuid, p_order uuid, p_outcome text, p_dhan_order_id text default null,
  p_reason text default null, p_terms jsonb default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_claim private.order_claims;
  v_first boolean;
begin
  if p_outcome is null or p_outcome not in ('accepted', 'rejected', 'denied', 'not_found') then
    raise exception 'not an outcome: %', p_outcome using errcode = '22023';
  end if;
  select * into v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  if p_outcome <> 'denied' and v_claim.claimed_at is null and v_claim.outcome is null then
    raise exception 'an order that was never claimed cannot be %', p_outcome using errcode = '22023';
  end if;
  -- Check constraints judge the proposed row before the conflict is seen, so it repeats what the claim already holds.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user::text || p_decision::text, 0));
  insert into private.order_claims as claim
    (user_id, decision_id, order_id, correlation_id, claimed_at, outcome, dhan_order_id, reason, settled_at, terms)
  values (
    p_user, p_decision, p_order, v_claim.correlation_id, v_claim.claimed_at, p_outcome, p_dhan_order_id, p_reason,
    clock_timestamp(), p_terms)
  on conflict (user_id, decision_id) do update set
    outcome = excluded.outcome, dhan_order_id = excluded.dhan_order_id, reason = excluded.reason,
    settled_at = excluded.settled_at, terms = coalesce(claim.terms, excluded.terms)
  -- Who brings terms never claimed. Another has meanwhile, and may have sent the order.
  where claim.outcome is null and not (p_outcome = 'denied' and p_terms is not null and claim.claimed_at is not null)
  returning * into v_claim;
  v_first := found;
  if v_first then
    perform private.log_outcome(v_claim);
  else
    select * into strict v_claim from private.order_claims where user_id = p_user and decision_id = p_decision;
  end if;
  if v_claim.order_id <> p_order then
    raise exception 'user % and decision % belong to order %, not %', p_user, p_decision, v_claim.order_id, p_order
      using errcode = '22023';
  end if;
  return jsonb_build_object(
    'first', v_first, 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id, 'reason', v_claim.reason,
    'terms', v_claim.terms);
end $$;

-- A made-up token that Dhan refused is not followed by the next one at once: for ten minutes the account is for whoever
-- contested it. A token that Dhan once vouched for is no such token.
create function private.must_wait_for(p_user uuid, p_client_id text) returns boolean
language sql volatile set search_path = '' as $$
  select exists (
    select from private.stored_tokens as token
    join public.user_trading_keys as keys on keys.user_id = token.user_id
    join private.account_contests as contest
      on contest.holder = token.user_id and contest.client_id = p_client_id and not contest.taken_over
    where token.user_id = p_user and keys.dhan_client_id = p_client_id
      and token.refused_at > clock_timestamp() - interval '10 minutes' and token.verified_at is null
      and contest.at >= token.stored_at)
$$;
revoke execute on function private.must_wait_for from public, anon, authenticated, service_role;

create index account_contests_account on private.account_contests (client_id, at);

-- As before, and whose made-up token was just refused waits.
create or replace function public.store_dhan_token(p_client_id text, p_token text, p_expiry timestamptz) returns text
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
  v_holder public.user_trading_keys;
begin
  if p_client_id is null or p_client_id !~ '^[0-9]{4,20}$' then
    raise exception 'not a Dhan client id: expected 4 to 20 digits' using errcode = '22023';
  end if;
  -- Printable ASCII without spaces, as every token Dhan has issued; the value itself never enters a message.
  if p_token is null or length(p_token) not between 8 and 4096 or p_token ~ '[^!-~]' then
    raise exception 'not a Dhan access token: expected 8 to 4096 printable characters' using errcode = '22023';
  end if;
  if p_expiry is null or p_expiry <= clock_timestamp() or p_expiry > clock_timestamp() + interval '400 days' then
    raise exception 'token expiry must lie ahead, within 400 days: %', p_expiry using errcode = '22023';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('key_audit ' || v_user, 0));
  -- Attempts on somebody else's account count by themselves: whoever is kept from their own can go on trying.
  if (select count(*) filter (where action = 'stored') >= 30 or count(*) filter (where action = 'turned_away') >= 100
      from private.key_audit
      where user_id = v_user and action in ('stored', 'turned_away') and at > clock_timestamp() - interval '1 day') then
    raise exception 'too many connections in one day' using errcode = 'P0001', detail = 'too_often',
      hint = 'Wait until tomorrow.';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('dhan_account ' || p_client_id, 0));
  -- The own row and the holder's, always in the same order: two users who change accounts wait for each other once only.
  perform from public.user_trading_keys
  where user_id = v_user or dhan_client_id = p_client_id and dhan_access_token is not null
  order by user_id for update;
  select * into v_holder from public.user_trading_keys
  where dhan_client_id = p_client_id and dhan_access_token is not null and user_id <> v_user;
  if found and v_holder.token_expiry > clock_timestamp() and not private.token_is_refused(v_holder.user_id) then
    insert into private.account_contests (client_id, holder, challenger, taken_over)
    values (p_client_id, v_holder.user_id, v_user, false);
    perform private.audit_key(v_user, 'turned_away');
    return 'account_taken';
  elsif private.must_wait_for(v_user, p_client_id) then
    perform private.audit_key(v_user, 'turned_away');
    return 'account_taken';
  elsif v_holder.user_id is not null then
    perform private.take_account_over(v_holder.user_id, v_user, p_client_id);
  end if;
  insert into public.user_trading_keys as mine (user_id, dhan_client_id, dhan_access_token, token_expiry)
  values (v_user, p_client_id, p_token, p_expiry)
  on conflict (user_id) do update set
    dhan_client_id = excluded.dhan_client_id,
    dhan_access_token = excluded.dhan_access_token,
    token_expiry = excluded.token_expiry,
    is_trading_enabled = mine.is_trading_enabled and mine.dhan_client_id is not distinct from excluded.dhan_client_id;
  perform private.audit_key(v_user, 'stored');
  return 'stored';
end $$;

-- As before, and of an account that more than one user has named each new token is asked about, so that a made-up one
-- holds it for seconds.
create or replace function public.question_token(p_interval_ms integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_token private.stored_tokens;
  v_keys public.user_trading_keys;
begin
  select token.* into v_token
  from private.stored_tokens as token join public.user_trading_keys as keys on keys.user_id = token.user_id
  where token.refused_at is null and private.token_refusal(keys) is null
    and (token.asked_at is null or token.asked_at <= clock_timestamp() - p_interval_ms * interval '1 millisecond')
    and (
      exists (
        select from private.account_contests as contest
        where contest.holder = keys.user_id and contest.client_id = keys.dhan_client_id and not contest.taken_over
          and contest.at > greatest(token.stored_at, token.verified_at, clock_timestamp() - interval '1 hour'))
      or token.verified_at is null and token.stored_at > clock_timestamp() - interval '1 hour' and exists (
        select from private.account_contests as contest
        where contest.client_id = keys.dhan_client_id and contest.at > clock_timestamp() - interval '30 days'))
  order by token.asked_at nulls first limit 1 for update of token skip locked;
  if not found then
    return jsonb_build_object('status', 'none');
  end if;
  update private.stored_tokens set asked_at = clock_timestamp() where user_id = v_token.user_id;
  -- The version before the token, as in reconcile_order: an answer about an older token hits nothing.
  select * into v_keys from public.user_trading_keys where user_id = v_token.user_id;
  perform private.audit_key(v_token.user_id, 'questioned');
  return jsonb_build_object(
    'status', 'questioned', 'user_id', v_token.user_id, 'dhan_client_id', v_keys.dhan_client_id,
    'access_token', v_keys.dhan_access_token, 'token_version', v_token.version);
end $$;

-- As before; what has its outcome is `taken`, a denial too.
create or replace function public.settle_claim_by_hand(
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
  elsif v_claim.outcome is not null then
    return jsonb_build_object(
      'status', 'taken', 'first', false, 'outcome', v_claim.outcome, 'dhan_order_id', v_claim.dhan_order_id,
      'reason', v_claim.reason, 'terms', v_claim.terms);
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
