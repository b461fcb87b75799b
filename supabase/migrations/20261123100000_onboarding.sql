-- The way in: attempts to connect a Dhan account, each bound to one user and one session, once, for ten minutes.
--
-- Dhan passes no state through its login (docs/onboarding.md). The browser keeps a random value, the database its hash,
-- so that neither a copy of the table nor a link somebody sends opens a connection.

create table private.dhan_consents (
  state_hash text primary key check (state_hash ~ '^[0-9a-f]{64}$'),
  user_id uuid not null references auth.users (id) on delete cascade,
  session_id uuid not null,  -- no foreign key: a session that ended must still be told apart from one that never was
  client_id text not null,
  asked_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz
);
comment on table private.dhan_consents is 'Attempts to connect Dhan. Kept for a day, to say why a late answer is refused.';
create index dhan_consents_user_id on private.dhan_consents (user_id, asked_at);
alter table private.dhan_consents enable row level security;

-- Every callback counts, also one without any attempt behind it: those are the guesses.
create table private.dhan_callbacks (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  at timestamptz not null default clock_timestamp()
);
comment on table private.dhan_callbacks is 'Returns from Dhan''s login, for the limit per user. Kept for ten minutes.';
create index dhan_callbacks_user_id on private.dhan_callbacks (user_id, at);
alter table private.dhan_callbacks enable row level security;

create function private.consent_lives(p_asked_at timestamptz) returns boolean
language sql volatile set search_path = '' as $$
  select p_asked_at > clock_timestamp() - interval '10 minutes'
$$;

create function private.signed_in_session() returns uuid
language plpgsql stable set search_path = '' as $$
begin
  if auth.jwt() ->> 'session_id' is null then
    raise exception 'not in a session' using errcode = '42501', hint = 'Sign in and send the session''s access token.';
  end if;
  return (auth.jwt() ->> 'session_id')::uuid;
end $$;

-- `begun`, or `too_often` after ten attempts in ten minutes (Dhan allows 25 a day).
create function public.begin_dhan_consent(p_client_id text, p_state_hash text) returns text
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.signed_in_user();
begin
  if p_client_id is null or p_client_id !~ '^[0-9]{4,20}$' then
    raise exception 'not a Dhan client id: expected 4 to 20 digits' using errcode = '22023';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('dhan_consents ' || v_user, 0));
  delete from private.dhan_consents where user_id = v_user and asked_at < clock_timestamp() - interval '1 day';
  if (select count(*) >= 10 from private.dhan_consents
      where user_id = v_user and private.consent_lives(asked_at)) then
    return 'too_often';
  end if;
  insert into private.dhan_consents (state_hash, user_id, session_id, client_id)
  values (p_state_hash, v_user, private.signed_in_session(), p_client_id);
  return 'begun';
end $$;

-- Dhan gave no login page for it, so nobody can come back from there. It still counts as an attempt.
create function public.abandon_dhan_consent(p_state_hash text) returns void
language sql security definer set search_path = '' as $$
  update private.dhan_consents set closed_at = clock_timestamp()
  where state_hash = p_state_hash and user_id = private.signed_in_user() and closed_at is null
$$;

-- Close the attempts whose states this browser holds: `taken` with their client ids, or `refused` with the reason. All
-- of them at once, since Dhan does not say which tab came back. The update is the claim: of two that run at the same
-- time the second waits and then finds them closed. What is not the caller's own stays as it is.
create function public.take_dhan_consents(p_state_hashes text[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.signed_in_user();
  v_session constant uuid := private.signed_in_session();
  v_client_ids jsonb;
  v_reason text;
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('dhan_callbacks ' || v_user, 0));
  delete from private.dhan_callbacks where user_id = v_user and not private.consent_lives(at);
  if (select count(*) >= 20 from private.dhan_callbacks where user_id = v_user) then
    return jsonb_build_object('status', 'refused', 'reason', 'too_often');
  end if;
  insert into private.dhan_callbacks (user_id) values (v_user);
  with taken as (
    update private.dhan_consents set closed_at = clock_timestamp()
    where state_hash = any (p_state_hashes) and user_id = v_user and session_id = v_session
      and closed_at is null and private.consent_lives(asked_at)
    returning client_id
  )
  select jsonb_agg(distinct client_id) into v_client_ids from taken;
  if v_client_ids is not null then
    return jsonb_build_object('status', 'taken', 'client_ids', v_client_ids);
  end if;
  select case
      when held.user_id <> v_user then 'other_user'
      when held.session_id <> v_session then 'other_session'
      when held.closed_at is not null then 'used'
      else 'expired'
    end into v_reason
  from private.dhan_consents as held where held.state_hash = any (p_state_hashes)
  order by held.asked_at desc limit 1;
  return jsonb_build_object('status', 'refused', 'reason', coalesce(v_reason, 'unknown'));
end $$;

-- The two facts of one's own that no table of the API holds.
create function public.own_order_times() returns table (decision_id uuid, recorded_at timestamptz)
language sql stable security definer set search_path = '' as $$
  select claim.decision_id, claim.recorded_at from private.order_claims as claim
  where claim.user_id = private.signed_in_user()
$$;

create function public.own_consent_is_open() returns boolean
language sql volatile security definer set search_path = '' as $$
  select exists (
    select from private.dhan_consents
    where user_id = private.signed_in_user() and closed_at is null and private.consent_lives(asked_at)
  )
$$;

-- All the account page shows, in one answer. It runs as the caller, so row level security decides what is theirs.
create function public.own_account() returns jsonb
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
        select log.id, told.recorded_at, decision.action, decision.symbol, decision.reasoning, log.status,
          log.dhan_order_id, log.failure_reason
        from public.user_trade_logs as log
        join public.trade_decisions as decision on decision.id = log.decision_id
        join public.own_order_times() as told on told.decision_id = log.decision_id
        where log.user_id = (select auth.uid())
        order by told.recorded_at desc limit 50
      ) as listed
    ), '[]'::jsonb)
  )
$$;

revoke all on private.dhan_consents, private.dhan_callbacks from public, anon, authenticated, service_role;
revoke execute on function private.consent_lives, private.signed_in_session
  from public, anon, authenticated, service_role;
revoke execute on function public.begin_dhan_consent, public.abandon_dhan_consent, public.take_dhan_consents,
  public.own_order_times, public.own_consent_is_open, public.own_account
  from public, anon, authenticated, service_role;
grant execute on function public.begin_dhan_consent, public.abandon_dhan_consent, public.take_dhan_consents,
  public.own_order_times, public.own_consent_is_open, public.own_account
  to authenticated;
